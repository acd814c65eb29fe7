"""Replies of language models: how they are asked for, written and read."""
