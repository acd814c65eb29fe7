"""Engines: where a language model runs."""
