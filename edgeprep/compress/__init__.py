"""Smaller and quicker networks: distilled, pruned, made ready for integers."""
