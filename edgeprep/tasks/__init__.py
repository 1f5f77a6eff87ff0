"""What the outputs of a network mean, in numpy; a module for each task."""
