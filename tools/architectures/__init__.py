"""Published architectures, and what becomes of each of them in each format."""
