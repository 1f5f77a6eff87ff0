"""Chains in every engine, by the exporters and backends that bundles are made with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.torch_cache import torch_cache_in
from edgeprep.interfaces import Model, Runner
from edgeprep.registry import create, default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import ChainModule

__all__ = ["ENGINES", "FORMATS", "Workshop", "has_precision", "prepare_on", "workshop"]

FORMATS = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "tflite"}
ENGINES = ("numpy", "torch", *FORMATS)


class Workshop:
    """Where chains are exported and loaded, on one thread."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def source(self, chain: Chain, network: torch.nn.Module | None = None) -> NetworkSource:
        """`chain` in front of `network`, or alone."""
        samples = np.random.default_rng(0).integers(0, 256, chain.input.shape(), dtype=np.uint8)
        return NetworkSource(network or torch.nn.Identity(), chain, samples, scratch=self._scratch)

    def export(self, engine: str, chain: Chain, network: torch.nn.Module | None = None) -> Model:
        """The float32 model that `engine` runs."""
        exporter = create(default_registry().get("exporter", FORMATS[engine]))
        model: Model = exporter.export(self.source(chain, network), "fp32")
        return model


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop whose temporary files are gone afterwards."""
    with TemporaryDirectory(prefix="edgeprep-") as name, torch_cache_in(Path(name)):
        yield Workshop(Path(name))


def load(engine: str, model: Model, precision: str = "f32") -> Runner:
    """`model` on one thread of the CPU."""
    backend = create(default_registry().get("backend", engine))
    device = backend.devices()[0]
    options = {"threads": 1, **({"precision": precision} if engine == "openvino" else {})}
    runner: Runner = backend.load(model, device, options)
    return runner


def has_precision(precision: str) -> bool:
    """Whether OpenVINO computes in `precision` on this CPU."""
    backend = create(default_registry().get("backend", "openvino"))
    options = backend.options(backend.devices()[0], "fp32")
    return precision in {each["precision"] for each in options}


def prepare_on(
    engine: str, chain: Chain, bench: Workshop, precision: str = "f32"
) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """What takes `(1, H, W, C)` through `chain` in `engine`."""
    if engine == "numpy":
        return lambda x: chain.apply(NumpyPrimitives(), x)
    if engine == "torch":
        module = ChainModule(chain).eval()
        return lambda x: np.asarray(module(torch.from_numpy(x)).detach().numpy())
    runner = load(engine, bench.export(engine, chain), precision)
    return lambda x: runner.run((x,))[0]
