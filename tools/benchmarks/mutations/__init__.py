"""What golden samples notice: models with damaged weights, as `tools/bench_golden` makes them."""
