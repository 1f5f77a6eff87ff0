"""What `tools/bench_tasks` measures: what outputs mean, and whether engines agree on it."""
