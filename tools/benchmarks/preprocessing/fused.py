"""What preprocessing adds to a network that has it inside: milliseconds and bytes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.bundles import MODELS
from benchmarks.engines import BARE
from benchmarks.figures import Figure
from benchmarks.preprocessing.graphs import FORMATS, Workshop
from benchmarks.preprocessing.hosts import camera_chain
from benchmarks.preprocessing.pictures import frame
from benchmarks.preprocessing.turns import in_turns
from edgeprep.data.factory import load_factory

__all__ = ["added_bytes", "overheads"]

LIMITS_MS = {
    "onnxruntime": (0.9, 2.3),
    "openvino": (0.5, 2.3),
    "litert": (1.5, 5.5),
}
# What the network alone took where the targets come from. A machine that is slower, or busy, slows
# both alike, so that the part of it which is added can be compared.
ALONE_MS = {"onnxruntime": 4.29, "openvino": 4.21, "litert": 3.51}
LIMIT_BYTES = 150_000
METHODS = {"bilinear": False, "antialiased": True}


def overheads(bench: Workshop) -> Iterator[tuple[Figure, str]]:
    """For each engine: MobileNetV2 with a ready tensor, and with a frame of 720 × 1280."""
    network = load_factory("networks:mobilenet_v2", MODELS, "model.factory")().eval()
    picture = frame()[None]
    tensor = np.zeros((1, 3, 224, 224), np.float32)
    for engine in FORMATS:
        alone = BARE[engine](network_alone(engine, bench, network), 1)
        calls: dict[str, Callable[[], object]] = {"alone": lambda call=alone: call(tensor)}  # type: ignore[misc]
        for method, antialias in METHODS.items():
            model = bench.export(engine, camera_chain(antialias=antialias), network)
            fused = BARE[engine](model.files, 1)
            calls[method] = lambda call=fused: call(picture)  # type: ignore[misc]
        times = in_turns(calls)
        for method, limit in zip(METHODS, LIMITS_MS[engine], strict=True):
            added = times[method] - times["alone"]
            name = f"fused {method}, added: {engine}"
            note = f"{engine}, {method}: {times[method]:.2f} ms, alone {times['alone']:.2f} ms"
            yield Figure(name=name, value=added, limit=limit, unit="ms"), note
            yield (
                Figure(
                    name=f"{name}, over the network alone",
                    value=added / times["alone"],
                    limit=round(limit / ALONE_MS[engine], 2),
                ),
                "",
            )


def network_alone(engine: str, bench: Workshop, network: torch.nn.Module) -> Mapping[str, bytes]:
    """The files of the network without any preprocessing: float32 `(1, 3, 224, 224)` in."""
    source = bench.source(camera_chain(antialias=False), network)
    if engine == "onnxruntime":
        return {"model.onnx": source.network_onnx}
    if engine == "openvino":
        import openvino as ov

        from edgeprep_openvino._export import ROADS

        path = source.scratch / "alone.xml"
        ov.save_model(ROADS["torch"](source), path, compress_to_fp16=False)
        return {f"model{end}": path.with_suffix(end).read_bytes() for end in (".xml", ".bin")}
    import litert_torch

    sample = (torch.zeros(source.network_input.shape),)
    content: Any = litert_torch.convert(source.network, sample).model_content()
    return {"model.tflite": bytes(content)}


def added_bytes(bench: Workshop) -> Iterator[Figure]:
    """What an antialiased resize from 720 × 1280 adds to a file."""
    for engine, name in FORMATS.items():
        with_it, without = (
            bench.export(engine, camera_chain(antialias=True, height=height, width=width))
            for height, width in ((720, 1280), (224, 224))
        )
        added = with_it.size_bytes - without.size_bytes
        title = f"antialiased resize, added to a file: {name}"
        yield Figure(name=title, value=added, limit=LIMIT_BYTES, unit="bytes")
