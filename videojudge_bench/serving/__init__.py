"""Judges behind a server, and judges as rewards."""
