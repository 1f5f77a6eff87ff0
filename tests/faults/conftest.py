"""Backends that fail, where workers can import them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FAKES = str(Path(__file__).parent / "fakes")


@pytest.fixture(scope="session")
def faulty() -> Iterator[ModuleType]:
    """The module `faulty_backends`; workers are handed `sys.path`."""
    sys.path.insert(0, FAKES)
    import faulty_backends

    yield faulty_backends
    sys.path.remove(FAKES)
