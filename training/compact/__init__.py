"""Tuning of the encoder of judge `compact`: without ratings, on captions of the same thing."""
