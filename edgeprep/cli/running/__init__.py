"""What `edgeprep run` is made of: what it is given, how it goes through it, what it prints."""
