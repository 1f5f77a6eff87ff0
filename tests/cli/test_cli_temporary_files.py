"""No command leaves a temporary file, whatever its libraries make of TMPDIR."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def leaves_nothing(spawn: Run, tmp_path: Path) -> Callable[..., None]:
    """Runs a command in a process of its own, which has to succeed."""

    def run(*words: object) -> None:
        ended = spawn(*words)
        assert ended.code == 0, ended.stderr
        assert list((tmp_path / "scratch").iterdir()) == []

    return run


def test_no_command_leaves_a_temporary_file(
    leaves_nothing: Callable[..., None],
    project: Callable[..., Path],
    pictures: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A real exporter: torch's makes a cache for a compiler that is never used.
    monkeypatch.setenv("EDGEPREP_PLUGINS", "onnx")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    recipe = project({'format    = "fake"': 'format    = "onnx"'})
    leaves_nothing("convert", recipe, "-o", "out.edgeprep")
    leaves_nothing("evaluate", "out.edgeprep", recipe)
    leaves_nothing("run", "out.edgeprep", pictures["red"], "-o", "drawn")
    leaves_nothing("benchmark", "out.edgeprep", "--rounds", "2")
