"""The command `videojudge`, one file a verb."""
