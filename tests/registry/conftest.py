import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# What a plugin starts with here: a stage called after its module, and names for the rest.
PRELUDE = """
import abc, sys
from dataclasses import dataclass
from typing import ClassVar
from edgeprep import hookimpl
from edgeprep.interfaces import Backend, Exporter, Stage, Task

class Finished:
    def output(self, image):
        return image
    def apply(self, F, x, image):
        return x

@dataclass(frozen=True, kw_only=True)
class Fine(Finished, Stage):
    name: ClassVar[str] = __name__.replace("_", "-")
"""
GOOD = """
@hookimpl
def edgeprep_stages():
    return [Fine]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a plugin for real: a module and a .dist-info on sys.path."""
    modules: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("EDGEPREP_PLUGINS", raising=False)
    monkeypatch.delenv("EDGEPREP_DISABLE_PLUGINS", raising=False)

    def install(
        module: str, body: str = GOOD, *, entry: str | None = None, distribution: str | None = None
    ) -> None:
        name = distribution or module.replace("_", "-")
        (tmp_path / f"{module}.py").write_text(PRELUDE + body)
        info = tmp_path / f"{name.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[edgeprep]\n{entry or module} = {module}\n")
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)
