"""What cannot be decoded is refused before anything is exported, with labels or without."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import edgeprep
from edgeprep.conversion.decodable import check_decodable
from edgeprep.conversion.network_check import check_network
from edgeprep.data import Prepared
from edgeprep.errors import ExportError, PluginError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry

DETECTOR = """
import torch


class Head(torch.nn.Module):
    # Four candidates, as there are cells of 4 pixels in a picture of 8.
    def __init__(self):
        super().__init__()
        self.cells = torch.nn.Conv2d(3, 7, 4, stride=4)

    def forward(self, x):
        return self.cells(x).flatten(2)


def build():
    return Head()
"""

TASK = """
[task]
use    = "detect"
labels = ["red", "green", "blue"]
boxes  = {{ axis = "second", form = "distances", priors = {{ strides = [{stride}] }} }}
scores = {{ output = 0, axis = "second", first = 4 }}
"""


def detector(project: Callable[..., Path], stride: int) -> Path:
    path = project(data="", target='[[target]]\nformat = "fake"\nprecision = ["fp32"]')
    (path.parent / "model.py").write_text(DETECTOR)
    text = path.read_text()
    before, rest = text.split("[task]")
    path.write_text(before + TASK.format(stride=stride) + rest[rest.index("[[preprocess]]") :])
    return path


def test_priors_of_another_network_are_refused_before_anything_is_exported(
    project: Callable[..., Path], output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        edgeprep.convert(detector(project, stride=3), output, registry=registry)
    assert str(caught.value) == (
        "task.boxes.priors: must be as many as the network's 4 candidates, got 9 for pictures of "
        "(8, 8)"
    )
    assert not fake.sources


def test_priors_of_another_network_are_seen_by_a_check(
    project: Callable[..., Path], registry: Registry
) -> None:
    assert check_network(load_recipe(detector(project, stride=4)), registry=registry).fault == ""
    found = check_network(load_recipe(detector(project, stride=3)), registry=registry)
    assert found.fault == (
        "task.boxes.priors: must be as many as the network's 4 candidates, got 9 for pictures of "
        "(8, 8)"
    )


def test_priors_that_fit_are_exported(
    project: Callable[..., Path], output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    fake.raises.append(ExportError("the exporter was reached"))
    with pytest.raises(ExportError, match="the exporter was reached"):
        edgeprep.convert(detector(project, stride=4), output, registry=registry)


@dataclass(frozen=True, kw_only=True)
class Clumsy(Task):
    """Accepts what it fails on."""

    name: ClassVar[str] = "clumsy"
    metrics: ClassVar[tuple[str, ...]] = ()

    def check_outputs(self, outputs: Any) -> None:
        pass

    def decode(self, outputs: Any, frame: Any = None) -> Any:
        return outputs[1]


def test_a_plugin_that_fails_on_what_it_accepts_is_named() -> None:
    samples = Prepared(inputs=np.zeros((1, 8, 8, 3), np.uint8), labels=(None,), skipped=())
    with pytest.raises(PluginError) as caught:  # noqa: PT011 -- the whole message is compared
        check_decodable(Clumsy(), [(np.zeros((1, 3), np.float32),)], samples)
    assert str(caught.value) == (
        "task 'clumsy': must decode outputs that its check_outputs() accepts, "
        "got IndexError: tuple index out of range"
    )
