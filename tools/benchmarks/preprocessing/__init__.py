"""What `tools/bench_preprocess` measures: preprocessing alone, against its targets."""
