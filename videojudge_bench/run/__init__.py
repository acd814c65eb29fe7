"""Runs: a judge asked about a gold set, journalled and resumed."""
