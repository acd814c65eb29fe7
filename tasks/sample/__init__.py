"""Rated answers about seven shipped videos: samples of sets whose full data are not here."""
