"""Everything that knows lmms-eval."""
