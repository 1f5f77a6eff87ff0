"""What `tools/bench` measures: one figure of the README, one file."""
