"""Preprocessing: one stage, one file; the chain that joins them; the interpreters that run them."""
