"""Backends that fail, where workers can import them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FAKES = str(Path(__file__).parent / "fakes")


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers compile what they import once for all tests, and not each of them anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
def faulty() -> Iterator[ModuleType]:
    """The module `faulty_backends`; workers are handed `sys.path`."""
    sys.path.insert(0, FAKES)
    import faulty_backends

    yield faulty_backends
    sys.path.remove(FAKES)
