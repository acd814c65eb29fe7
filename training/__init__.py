"""Making training data for judges, and training them."""
