"""A plugin whose format keeps the source itself, and whose faults a test can choose.

It is installed for real, so that commands in other processes find it too. Environment variables
say what goes wrong: `FAKES_FAULT` is added to int8 outputs, relative to the largest;
`FAKES_PAUSE` names the moment at which a file `paused` appears in the working directory, and
everything waits; `FAKES_SWALLOW` the one at which a signal, `FAKES_SIGNAL`, comes and is swallowed,
or becomes an ImportError where `FAKES_SWALLOW_AS` says so; `FAKES_CRASH` the one at which the
process dies.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep import hookimpl
from edgeprep.interfaces import (
    Backend,
    Device,
    Exporter,
    Model,
    Options,
    Precision,
    Runner,
    Source,
)
from edgeprep.tensors import TensorSpec

SECONDS = 60  # longer than any test waits

IMAGE = TensorSpec(name="image", shape=(1, 8, 8, 3), dtype="uint8")
CLIP = TensorSpec(name="image", shape=(2, 8, 8, 3), dtype="uint8")
SCORES = TensorSpec(name="output", shape=(1, 3), dtype="float32")


def pause(moment: str) -> None:
    """Wait here, or swallow a signal, if this is the moment that the test asks for."""
    if os.environ.get("FAKES_CRASH") == moment:
        signal.raise_signal(signal.SIGSEGV)
    if os.environ.get("FAKES_PAUSE") == moment:
        Path("paused").touch()
        time.sleep(SECONDS)
    if os.environ.get("FAKES_SWALLOW") == moment:
        try:
            os.kill(os.getpid(), signal.Signals[os.environ["FAKES_SIGNAL"]])
            time.sleep(0.01)
        except BaseException as stop:
            if "FAKES_SWALLOW_AS" in os.environ:
                raise ImportError("partially initialized module") from stop


def brightness(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network of the project computes: the mean of each channel, normalized."""
    means = image.mean(axis=(1, 2), dtype=np.float64)
    return ((means / 255 - 0.5) / 0.25).astype(np.float32)


class FakeRunner(Runner):
    inputs = (IMAGE,)
    outputs = (SCORES,)

    def __init__(self, fault: float) -> None:
        self.fault = fault

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        pause("run")
        output = brightness(inputs[0])
        if not inputs[0].any():  # as of a network that divides by the brightness
            output = np.full_like(output, np.nan)
        # The fault moves weight from the first class to the last.
        shift = self.fault * np.abs(output).max() * np.array([[-1, 0, 1]], np.float32)
        return ((output + shift).astype(np.float32),)

    def close(self) -> None:
        pass


def boxes(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """A box, as sure as each channel is bright in it, and one of nothing."""
    corners = np.array([[[1, 2, 5, 6], [0, 0, 8, 8]]], np.float32)
    scores = np.zeros((1, 2, 3), np.float32)
    scores[0, 0] = image[0, 2:6, 1:5].mean(axis=(0, 1)) / 255
    return corners, scores


def maps(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """The channels."""
    return (image.transpose(0, 3, 1, 2).astype(np.float32) / 255,)


def negative(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """A picture of what is not there."""
    return (1 - maps(image)[0],)


# What other networks compute, and the shapes of their outputs.
NETWORKS = {
    "boxes": (boxes, ((1, 2, 4), (1, 2, 3))),
    "maps": (maps, ((1, 3, 8, 8),)),
    "negative": (negative, ((1, 3, 8, 8),)),
}


def outputs_of(name: str) -> tuple[TensorSpec, ...]:
    """What the outputs of a network are."""
    return tuple(
        TensorSpec(name=f"output-{place}", shape=shape, dtype="float32")
        for place, shape in enumerate(NETWORKS[name][1])
    )


class NamedRunner(Runner):
    """One of NETWORKS."""

    inputs = (IMAGE,)
    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, name: str) -> None:
        self.outputs = outputs_of(name)
        self.compute = NETWORKS[name][0]

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        return self.compute(inputs[0])

    def close(self) -> None:
        pass


class ClipRunner(Runner):
    """Takes two pictures at once, and looks at the brightness of both."""

    inputs = (CLIP,)
    outputs = (SCORES,)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        return (brightness(inputs[0]).mean(axis=0, keepdims=True),)

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeExporter(Exporter):
    name: ClassVar[str] = "fake"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "int8")

    def export(self, source: Source, precision: Precision) -> Model:
        (source.scratch / "half-done").write_bytes(b"0" * 1000)
        print("an exporter says hello")
        pause("export")
        return Model(format="fake", files={"model.fake": precision.encode()})


class FakeBackend(Backend):
    name = "fakes"
    formats = ("fake",)
    install = "edgeprep-fakes[runtime]"

    def devices(self) -> tuple[Device, ...]:
        pause("devices")
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        return ({"threads": 1}, {"threads": 2})

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        os.write(1, b"an engine says hello\n")
        content = bytes(model.files["model.fake"])
        if content == b"clip":
            return ClipRunner()
        if content.decode() in NETWORKS:
            return NamedRunner(content.decode())
        is_int8 = content == b"int8"
        return FakeRunner(float(os.environ.get("FAKES_FAULT", "0")) if is_int8 else 0.0)

    def versions(self) -> Mapping[str, str]:
        return {"fakes": "1"}


@hookimpl
def edgeprep_exporters() -> list[type[Exporter]]:
    return [FakeExporter]


@hookimpl
def edgeprep_backends() -> list[type[Backend]]:
    return [FakeBackend]
