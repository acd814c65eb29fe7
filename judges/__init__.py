"""Judge adapters: each a small class on the contract of `videojudge_bench.judge`."""
