"""Runs as one HTML page to look at: no network, no framework, nothing in an answer is executed."""
