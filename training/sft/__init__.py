"""Supervised fine-tuning: from training rows to a checkpoint that judges."""
