"""Checks of `videojudge doctor`: each module has one section."""
