"""Engines made of numpy that are right, slow, wrong, broken or absent, and a bundle for them."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from channel_means import GREEN, IMAGE, LOGITS, channel_means
from fake_registry import registry_of
from means_bundle import manifest_of, variant_of, write_means
from numpy.typing import NDArray

from edgeprep.bundle import Manifest
from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Backend, Device, Model, Options, Precision, Runner


class FakeRunner(Runner):
    inputs = (IMAGE,)
    outputs = (LOGITS,)

    def __init__(self, backend: "Right") -> None:
        self.backend = backend
        self.closed = False
        Right.open_runners.append(backend.name)

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        if self.closed:
            raise ClosedError("runner: must be open, got a call after close()")
        return (self.backend.compute(inputs[0]),)

    def close(self) -> None:
        if not self.closed:
            Right.open_runners.remove(self.backend.name)
        self.closed = True


class Right(Backend):
    """Right numbers, at once."""

    name = "right"
    formats = ("fake",)
    loaded: ClassVar[list[str]] = []
    open_runners: ClassVar[list[str]] = []

    def devices(self) -> tuple[Device, ...]:
        return (Device(name="cpu", kind="cpu"),)

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        return ({"threads": 1},)

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        type(self).loaded.append(model.files["model.fake"].decode())
        return FakeRunner(self)

    def versions(self) -> Mapping[str, str]:
        return {self.name: "1"}

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return channel_means(image)


class Slow(Right):
    """Right numbers, 3 ms late."""

    name = "slow"

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(0.003)
        return channel_means(image)


class Wrong(Right):
    """Wrong numbers, at once: as an accelerator gives them, without an error."""

    name = "wrong"

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return channel_means(image) * np.float32(1.05)


class NotANumber(Right):
    """NaN, at once."""

    name = "nan"

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return channel_means(image) * np.float32("nan")


class Refusing(Right):
    """Refuses the model."""

    name = "refusing"

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        raise BackendError("refusing: must be a model of version 2, got version 3")


class Raising(Right):
    """Loads, and fails in the first run with an error of its own."""

    name = "raising"

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise RuntimeError("device lost")


class Failing(Right):
    """Reproduces the golden samples, and loses its device while it is measured."""

    name = "failing"

    def __init__(self) -> None:
        self.calls = 0

    def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls > 10:
            raise RuntimeError("device lost")
        return channel_means(image)


class Clinging(Slow):
    """Is slow, and cannot be closed."""

    name = "clinging"

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        class Runner(FakeRunner):
            def close(self) -> None:
                super().close()
                raise RuntimeError("device busy")

        return Runner(self)


class Broken(Right):
    """Is installed, but cannot be set up."""

    name = "broken"

    def __init__(self) -> None:
        raise OSError("no driver")


class Deviceless(Right):
    """Is installed, but its driver fails when it is asked for devices."""

    name = "deviceless"

    def devices(self) -> tuple[Device, ...]:
        raise OSError("libcuda.so.1: cannot open shared object file")


class Absent(Right):
    """Is a plugin whose library is not installed."""

    name = "absent"
    requires = ("no_such_engine",)
    install = "edgeprep-absent[runtime]"


class Reduced(Right):
    """Offers a reduced precision beside the exact one, and is faster with it."""

    name = "reduced"

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        return ({"precision": "f32"}, {"precision": "bf16"})

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        return FakeRunner(self if options["precision"] == "bf16" else Slow())


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "cache"))
    Right.loaded.clear()
    Right.open_runners.clear()


@pytest.fixture
def fakes() -> SimpleNamespace:
    """The backends by their class names, and `registry(*classes)` that has them installed."""
    classes = (
        Right,
        Slow,
        Wrong,
        NotANumber,
        Refusing,
        Raising,
        Failing,
        Clinging,
        Broken,
        Deviceless,
        Absent,
        Reduced,
    )
    by_name = {cls.__name__: cls for cls in classes}
    return SimpleNamespace(registry=registry_of, Runner=FakeRunner, **by_name)


@pytest.fixture
def manifest() -> Manifest:
    """One variant of format "fake" in a bundle that takes 4×4 RGB pictures as they are."""
    return manifest_of(variant_of("fake-fp32", len("fake-fp32")))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Manifest], Path]:
    """Packs a manifest with its golden samples, and models that hold their own name."""

    def pack(manifest: Manifest) -> Path:
        models = {variant.name: variant.name.encode() for variant in manifest.variants}
        return write_means(tmp_path / "means.edgeprep", manifest, models)

    return pack


@pytest.fixture
def bundle(write: Callable[[Manifest], Path], manifest: Manifest) -> Path:
    return write(manifest)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """4×4, all of it green."""
    return GREEN.copy()
