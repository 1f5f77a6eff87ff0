"""Engines that fail, in workers as users have them, each test with a cache of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import faulty_backends as faulty
import faulty_bundle as bundles
import pytest

import edgeprep
from edgeprep.interfaces import Backend
from edgeprep.workers import IsolatedBackend, Limits

# Larger than the other one, which therefore comes first where nothing is measured.
SAFE = {"safe-fp32": {"note": "a model that never fails, and is not small " * 3}}


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers compile what they import once for all tests, and not each of them anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(autouse=True)
def own_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered, and engines are tried in workers."""
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEPREP_ISOLATE")


@pytest.fixture
def backends() -> Iterator[Callable[..., IsolatedBackend]]:
    """Makes isolated backends, and ends them."""
    made: list[IsolatedBackend] = []

    def make(cls: type[Backend] = faulty.Faulty, **limits: float) -> IsolatedBackend:
        made.append(IsolatedBackend(cls, limits=Limits(**limits)))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def open_faulty(tmp_path: Path) -> Callable[..., edgeprep.Session]:
    """Opens a bundle with a variant for each of two backends, the second of which never fails."""

    def opened(
        fault: Mapping[str, Any],
        *,
        backends: Sequence[type[Backend]] = (bundles.Alone, bundles.Safe),
        **keywords: Any,
    ) -> edgeprep.Session:
        path = bundles.write_faulty(tmp_path / "means.edgeprep", {"fake-fp32": fault, **SAFE})
        registry = bundles.registry_of(*backends)
        return edgeprep.open(path, **{"seconds": 0.0, "registry": registry, **keywords})

    return opened
