"""How the encoder of judge `compact` is tuned: without a rating, on captions of the same thing."""
