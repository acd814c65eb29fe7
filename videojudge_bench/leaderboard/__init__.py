"""From judgements to the numbers of a row and to the tables in `results/`."""
