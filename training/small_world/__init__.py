"""A small world of procedural videos whose truth is exact: a working scale model, on a CPU."""
