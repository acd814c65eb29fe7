"""Gold sets that travel with the package; sources and licences are in README.md."""
