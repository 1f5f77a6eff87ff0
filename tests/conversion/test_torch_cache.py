"""The cache of torch's compiler: nothing of it stays, nor does the variable that moves it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeprep
from edgeprep.conversion.torch_cache import torch_cache_in
from edgeprep.interfaces import Model, Source
from edgeprep.registry import Registry

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def test_a_conversion_leaves_no_cache_of_torch(
    project: Callable[..., Path],
    output: Path,
    registry: Registry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Path] = []

    def export(self: object, source: Source, precision: str) -> Model:
        # torch.onnx.export comes past the compiler, which makes the directory of its cache. It
        # does so once a process: some other test may have been the first.
        assert source.network_onnx
        told.append(Path(os.environ[VARIABLE]))
        return kept(self, source, precision)

    exporter = registry.get("exporter", "fake")
    kept = exporter.export
    monkeypatch.setattr(exporter, "export", export)
    monkeypatch.delenv(VARIABLE, raising=False)
    edgeprep.convert(project(), output, registry=registry)
    assert told
    assert all(path.parent.parent == tmp_path / "scratch" for path in told)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert VARIABLE not in os.environ


def test_the_users_own_cache_is_used_and_stays_named_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "of/the/user")
    with torch_cache_in(tmp_path):
        assert os.environ[VARIABLE] == "of/the/user"
        # As torch does with a relative path.
        os.environ[VARIABLE] = str(tmp_path / "of/the/user")
    assert os.environ[VARIABLE] == "of/the/user"
