"""Experiments with the bootstrap loop and in the small world: questions, arms, tables."""
