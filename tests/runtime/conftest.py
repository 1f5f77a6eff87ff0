"""Engines made of numpy that are right, slow, wrong, broken or absent, and a bundle for them."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Golden, Manifest, Measured, Parity, SourceRecord, Variant, write_bundle
from edgeprep.errors import BackendError, ClosedError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend, Device, Model, Options, Precision, Runner
from edgeprep.registry import Registry
from edgeprep.tensors import ImageSpec, TensorSpec

IMAGE = TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="uint8")
LOGITS = TensorSpec(name="logits", shape=(1, 3), dtype="float32")


def channel_means(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network that all fakes compute: `(N, H, W, 3)` to `(N, 3)`."""
    return image.mean(axis=(1, 2), dtype=np.float32)


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


def registry_of(*backends: type[Backend]) -> Registry:
    """The built-in stages and tasks, and these backends."""

    class Plugin:
        @staticmethod
        @hookimpl
        def edgeprep_backends() -> list[type[Backend]]:
            return list(backends)

    registry = Registry(installed=False)
    registry.register("fakes", Plugin)
    return registry


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
    return Manifest(
        name="means",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": ["red", "green", "blue"]},
        input=ImageSpec(height=4, width=4),
        chain=({"use": "scale@1"},),
        source=SourceRecord(metric="accuracy", value=1.0, samples=10),
        variants=(_variant("fake-fp32"),),
        golden=(
            Golden(
                placement="graph",
                input=replace(IMAGE, shape=(4, 4, 4, 3)),
                input_member="golden/graph/input.bin",
                outputs=(replace(LOGITS, shape=(4, 3)),),
                output_members=("golden/graph/output-0.bin",),
            ),
        ),
    )


def _variant(name: str) -> Variant:
    return Variant(
        name=name,
        format="fake",
        precision="fp32",
        placement="graph",
        requires=("edgeprep-fake[runtime]",),
        files=(f"variants/{name}/model.fake",),
        size_bytes=len(name),
        input=IMAGE,
        outputs=(LOGITS,),
        parity=Parity(max_abs=0.0, relative=0.0, samples=4),
        metric=Measured(name="accuracy", value=1.0, drop=0.0, samples=10),
        tolerance=1e-3,
        golden_outputs=(f"golden/{name}/0.bin",),
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Manifest], Path]:
    """Packs a manifest with its golden samples, and models that hold their own name."""

    def pack(manifest: Manifest) -> Path:
        pictures = np.random.default_rng(7).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)
        means = channel_means(pictures).tobytes()
        members = {
            "golden/graph/input.bin": pictures.tobytes(),
            "golden/graph/output-0.bin": means,
        }
        for variant in manifest.variants:
            members[variant.files[0]] = variant.name.encode()
            members[variant.golden_outputs[0]] = means
        path = tmp_path / "means.edgeprep"
        write_bundle(path, manifest, members, overwrite=True)
        return path

    return pack


@pytest.fixture
def bundle(write: Callable[[Manifest], Path], manifest: Manifest) -> Path:
    return write(manifest)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """4×4, all of it green."""
    return np.broadcast_to(np.array([10, 200, 30], np.uint8), (4, 4, 3)).copy()
