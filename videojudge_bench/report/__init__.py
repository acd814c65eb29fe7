"""Reports of runs as one HTML page that needs no network and executes nothing of an answer."""
