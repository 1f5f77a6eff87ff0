"""Trained networks for edgeprep, a folder each: see `edgeprep zoo`."""
