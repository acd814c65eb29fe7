"""Replies of language models: how they are asked for, written and read."""

READER_VERSION = 5
"""Raised with every change by which a reply may be read as another verdict."""
