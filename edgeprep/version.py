"""The version: said here, read by the package, the build and the bundles."""

__all__ = ["__version__"]

__version__ = "0.1.0"
