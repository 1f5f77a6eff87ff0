from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgeprep.data import Samples, build_reader
from edgeprep.errors import EdgePrepError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

WHERE = "data.training"


class HeldAgainst(Task):
    """A task that is held against anything one likes."""

    name = "held"
    metrics = ()

    def __init__(self, truth: TruthKind, labels: tuple[str, ...]) -> None:
        self.truth = truth  # type: ignore[misc]
        self.labels = labels

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        pass

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> Any:
        raise NotImplementedError


OpenData = Callable[..., Samples]


@pytest.fixture
def open_data(tmp_path: Path) -> OpenData:
    """Opens `[data]` tables of a recipe in `tmp_path`."""

    def open_it(
        truth: TruthKind | None = None, labels: tuple[str, ...] = (), /, **table: object
    ) -> Samples:
        task = None if truth is None else HeldAgainst(truth, labels)
        return build_reader(table, WHERE).open(directory=tmp_path, where=WHERE, task=task)

    return open_it


@pytest.fixture
def refuse(open_data: OpenData) -> Callable[..., str]:
    """The whole message with which data are refused, when they are opened or read."""

    def refuse_it(*args: Any, **table: object) -> str:
        with pytest.raises(EdgePrepError, match=r"^data\.training") as caught:
            list(open_data(*args, **table))
        return str(caught.value)

    return refuse_it


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Writes a picture below `tmp_path`."""

    def draw_it(
        name: str, height: int = 6, width: int = 8, level: int = 7, mode: str = "RGB"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((height, width, 3), level, np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return draw_it
