"""lmms-eval task files, one per gold set, and the data that travel with the package."""
