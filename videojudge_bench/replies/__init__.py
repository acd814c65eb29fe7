"""Replies of language models: how they are asked for, written and read."""

READER_VERSION: int = 1
"""Of what reads verdicts out of replies. Another number has the replies in journals read anew."""
