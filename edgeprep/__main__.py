"""`python -m edgeprep`, for where the program `edgeprep` is not on the path."""

from edgeprep.cli import main

main()
