"""A source that is small enough for a test and has what exporters trip over."""

from pathlib import Path

from edgeprep.interfaces import Source

__all__ = ["small_source", "stateful_source"]


def small_source(scratch: Path) -> Source:
    """A network of two outputs behind a resize and a normalization, always the same.

    Args:
        scratch: an existing directory for temporary files, such as pytest's `tmp_path`.
    """
    from edgeprep.testing import _network

    return _network.small_source(scratch)


def stateful_source(scratch: Path) -> Source:
    """A network that remembers, with two states, always the same.

    Args:
        scratch: an existing directory for temporary files, such as pytest's `tmp_path`.
    """
    from edgeprep.testing import _network

    return _network.stateful_source(scratch)
