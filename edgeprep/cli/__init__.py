"""The command line: one command, one file, each a thin call of the Python API."""

from edgeprep.cli.main import main

__all__ = ["main"]
