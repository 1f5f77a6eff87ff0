"""A stage of a plugin that needs a file: it travels in the bundle, and the device needs no more."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.errors import InputError, RecipeError, StorageError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import FileStage
from edgeprep.registry import Registry
from edgeprep.tensors import ImageSpec

FLAT = "seen.bin"


@dataclass(frozen=True, kw_only=True)
class FlatField(FileStage):
    """Divide by what a lens makes of a white wall: one byte a channel."""

    name: ClassVar[str] = "flat-field"
    file: ClassVar[str] = "seen"

    seen: str
    _white: bytes | None = field(default=None, init=False, repr=False)

    @property
    def content(self) -> bytes:
        assert self._white is not None
        return self._white

    def opened(self, content: bytes, registry: Any) -> "FlatField":
        if len(content) != 3:
            raise InputError(f"must be 3 bytes, got {len(content)}")
        stage = replace(self)
        object.__setattr__(stage, "_white", content)
        return stage

    def output(self, image: ImageSpec) -> ImageSpec:
        return image.replace(dtype="float32")

    def apply(self, F: Any, x: Any, image: ImageSpec) -> Any:
        white = np.frombuffer(self.content, np.uint8)
        return F.multiply(F.cast(x, "float32"), (255 / white).astype(np.float32))


@pytest.fixture
def recipe(project: Callable[..., Path], registry: Registry) -> Path:
    registry.register("flat", SimpleNamespace(edgeprep_stages=hookimpl(lambda: [FlatField])))
    path = project()
    first = '[[preprocess]]\nuse  = "resize"'
    stage = f'[[preprocess]]\nuse = "flat-field"\nseen = "{FLAT}"\n'
    path.write_text(path.read_text().replace(first, f"{stage}{first}"))
    path.with_name(FLAT).write_bytes(bytes([255, 51, 255]))
    return path


def scores(bundle: Path, registry: Registry, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    with edgeprep.open(bundle, registry=registry, probe=False, prefer="fp32") as session:
        output: NDArray[np.float32] = session.outputs(picture)[0][0]
        return output


def test_the_file_travels_in_the_bundle(recipe: Path, output: Path, registry: Registry) -> None:
    edgeprep.convert(recipe, output, registry=registry)
    recipe.with_name(FLAT).unlink()
    bundle = open_bundle(output)
    assert bundle.manifest.chain[0] == {"use": "flat-field@1", "seen": "chain/0-flat-field"}
    assert bundle.member("chain/0-flat-field") == bytes([255, 51, 255])
    picture = np.full((8, 8, 3), 40, np.uint8)
    # Of 40, 200 and 40, halves of 255 off and over a quarter: green is by 160 / 255 / 0.25 ahead.
    red, green, blue = scores(output, registry, picture)
    assert green - red == pytest.approx(160 / 255 / 0.25, abs=1e-3)
    assert blue == pytest.approx(red, abs=1e-5)


def test_a_file_of_no_use_is_named_with_its_path(
    recipe: Path, output: Path, registry: Registry
) -> None:
    recipe.with_name(FLAT).write_bytes(b"")
    with pytest.raises(RecipeError, match=r"^preprocess\[0\]\.seen: must be 3 bytes, got 0$"):
        edgeprep.convert(recipe, output, registry=registry)
    recipe.with_name(FLAT).unlink()
    recipe.with_name(FLAT).mkdir()
    message = f"preprocess[0].seen: {recipe.with_name(FLAT)}: must be a regular file, got "
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}"):
        edgeprep.convert(recipe, output, registry=registry)
    assert not output.exists()


def test_the_file_of_a_stage_is_never_replaced(recipe: Path, registry: Registry) -> None:
    target = recipe.with_name(FLAT)
    message = (
        f"{target}: must not be the file of stage 'flat-field', which would be replaced, "
        f"got {FLAT!r}; name it seen.edgeprep"
    )
    with pytest.raises(StorageError, match=f"^{re.escape(message)}$"):
        edgeprep.convert(recipe, target, overwrite=True, registry=registry)
    assert target.read_bytes() == bytes([255, 51, 255])
