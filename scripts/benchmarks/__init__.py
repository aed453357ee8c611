"""What `scripts/bench.py` runs: one file a benchmark, each with `run(options) -> list[Row]`.

`measure` times, `workloads` says what is trained; the others are the benchmarks.
"""
