"""A project with a small network, and a format whose faults can be chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import (
    Backend,
    Device,
    Exporter,
    Model,
    Options,
    Pass,
    Precision,
    Runner,
    Source,
    Workbench,
)
from edgeprep.recipe import Recipe, SearchTable, load_recipe
from edgeprep.registry import Registry
from edgeprep.tensors import TensorSpec

MODEL = """
import torch


class Net(torch.nn.Module):
    # Right by construction: the class is the brightest channel.
    def __init__(self, classes):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, classes, 1), torch.nn.Identity())
        self.head = torch.nn.Linear(classes, classes)
        for layer in (self.features[0], self.head):
            layer.weight.data = torch.eye(classes, 3).reshape(layer.weight.shape)
            layer.bias.data = torch.full((classes,), 0.1)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def build(classes=3):
    return Net(classes)
"""

DATA = """
import numpy as np


def pictures(count=24, size=12):
    # The class is the brightest channel.
    rng = np.random.default_rng(3)
    for index in range(count):
        picture = rng.integers(0, 120, (size + index // 3 % 3, size, 3), dtype=np.uint8)
        picture[..., index % 3] += 30
        yield picture, index % 3
"""

RECIPE = """
name = "small"

[model]
factory = "model:build"
{model}

[task]
use    = "classify"
labels = ["red", "green", "blue"]

[[preprocess]]
use  = "resize"
size = [8, 8]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]

[data]
calibration = {{ factory = "data:pictures" }}
{data}

{target}

{more}
"""

EVALUATION = 'evaluation  = { factory = "data:pictures" }'
TARGET = '[[target]]\nformat = "fake"\nprecision = ["fp32", "int8"]'


class FakeRunner(Runner):
    def __init__(self, source: Any, fault: float) -> None:
        self.source, self.fault = source, fault

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (self.source.input,)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return tuple(self.source.outputs)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        (output,) = self.source.run(inputs[0])
        # The fault moves weight from the first class to the last.
        shift = self.fault * np.abs(output).max() * np.array([[-1, 0, 1]], np.float32)
        return ((output + shift).astype(np.float32),)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeExporter(Exporter):
    """Keeps the source itself, and adds the fault that a test asked for at each precision."""

    name: ClassVar[str] = "fake"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8")
    faults: ClassVar[dict[str, float]] = {}
    sources: ClassVar[dict[str, Source]] = {}
    raises: ClassVar[list[BaseException]] = []

    def export(self, source: Source, precision: Precision) -> Model:
        if self.raises:
            raise self.raises[0]
        self.sources[precision] = source
        return Model(format="fake", files={"model.fake": precision.encode()})


class FakeBackend(Backend):
    name = "fakes"
    formats = ("fake",)
    install = "edgeprep-fake[runtime]"

    def devices(self) -> tuple[Device, ...]:
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        if precision == "fp32":
            return ({"precision": "f32"}, {"precision": "bf16"})
        return ({},)

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        precision = model.files["model.fake"].decode()
        hint = str(options.get("precision", precision))
        fault = FakeExporter.faults.get(hint, FakeExporter.faults.get(precision, 0.0))
        return FakeRunner(FakeExporter.sources[precision], fault)

    def versions(self) -> Mapping[str, str]:
        return {"fakes": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Halve(Pass):
    """Halves the last layer's bias, so that the network is another one afterwards."""

    name: ClassVar[str] = "halve"

    def apply(self, network: Any, bench: Workbench) -> Any:
        network.head.bias.data *= 0.5
        return network


class Plugin:
    @staticmethod
    @hookimpl
    def edgeprep_exporters() -> list[type[Exporter]]:
        return [FakeExporter]

    @staticmethod
    @hookimpl
    def edgeprep_backends() -> list[type[Backend]]:
        return [FakeBackend]

    @staticmethod
    @hookimpl
    def edgeprep_passes() -> list[type[Pass]]:
        return [Halve]


@pytest.fixture
def registry() -> Registry:
    registry = Registry(installed=False)
    registry.register("fakes", Plugin)
    return registry


@pytest.fixture
def fake() -> SimpleNamespace:
    """`faults` by precision or hint, the `sources` that came, and what exporting `raises`."""
    FakeExporter.faults.clear()
    FakeExporter.sources.clear()
    FakeExporter.raises.clear()
    return SimpleNamespace(
        faults=FakeExporter.faults, sources=FakeExporter.sources, raises=FakeExporter.raises
    )


@pytest.fixture
def project(
    tmp_path: Path, fake: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Writes a recipe with its model and data; temporary files go under `tmp_path / "scratch"`."""
    directory, scratch = tmp_path / "project", tmp_path / "scratch"
    directory.mkdir()
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (directory / "model.py").write_text(MODEL)
    (directory / "data.py").write_text(DATA)

    def write(
        *, model: str = "", data: str = EVALUATION, target: str = TARGET, more: str = ""
    ) -> Path:
        path = directory / "recipe.toml"
        path.write_text(RECIPE.format(model=model, data=data, target=target, more=more))
        return path

    return write


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "small.edgeprep"


@pytest.fixture(autouse=True)
def _out(output: Path) -> None:
    output.parent.mkdir()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def recipe(project: Callable[..., Path]) -> Recipe:
    """The small project, to be searched for a way within a budget."""
    return replace(
        load_recipe(project(more='[budget]\nmetric = "accuracy"\nmax_drop = 0.01')),
        search=SearchTable(calibrator=("min-max", "mse")),
    )
