"""Helpers without knowledge of judges: files, hashes, tables, terminal, plots."""
