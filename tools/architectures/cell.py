"""One network in one format: the conversion of a recipe, variant by variant, and what was found."""

import re
import resource
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from architectures.checkpoint import write_checkpoint
from architectures.networks import Network
from edgeprep.conversion.noted import Noted
from edgeprep.conversion.plan import make_plan
from edgeprep.conversion.steps import Steps
from edgeprep.conversion.underway import Conversion
from edgeprep.data import silent
from edgeprep.errors import (
    BackendError,
    EdgePrepError,
    ExportError,
    OutputError,
    ParityError,
)
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry

__all__ = ["ROADS", "measure"]

# What each exporter tries, in this order.
ROADS = {
    "onnx": "torch.export, not strict and strict; torch.onnx",
    "openvino": "torch.jit.trace; torch.export, torch.onnx and OpenVINO's ONNX frontend",
    "tflite": "torch.export, not strict; litert-torch",
}
# Where messages of converters name what they could not take.
_OPERATORS = (
    r"Lowering not found: ([\w.]+)",
    r"op='([\w.]+)'",
    r"'([\w.]+)' op ",
    r"legalize operation '([\w.]+)'",
    r"TFLite form, got '([^']+)'",
    r"(aten[.:]+\w+(?:\.\w+)?)",
    r"(prims[.:]+\w+(?:\.\w+)?)",
    r"torch\.ops\.([\w.]+)",
    r"[Oo]p(?:erator|eration)?s?:? '?([A-Za-z_:.]+)'?",
    r"for the ([A-Z]\w+) (?:op|node)",
)


def measure(network: Network, target: str) -> dict[str, Any]:
    """What became of `network` in a format: for "fp32" and "int8" figures, or the fault."""
    began, found = perf_counter(), dict[str, Any]()
    with TemporaryDirectory() as folder:
        try:
            recipe = load_recipe(write_checkpoint(network, Path(folder), target=target))
            _convert(recipe, Path(folder), found)
        except EdgePrepError as error:
            found.setdefault("fp32", _fault(error, "load", target))
        except Exception as error:  # noqa: BLE001 -- transformers refuses a configuration, say
            found.setdefault("fp32", _fault(error, "build", target))
    # In KB on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {**found, "seconds": round(perf_counter() - began, 1), "peak_mb": round(peak)}


def _convert(recipe: Any, folder: Path, found: dict[str, Any]) -> None:
    registry = default_registry()
    plan = make_plan(recipe, folder / "none.edgeprep", overwrite=False, registry=registry)
    with closing(plan.chain):
        conversion = Conversion(
            plan=plan,
            registry=registry,
            progress=Noted(silent),
            scratch=folder,
            steps=Steps(folder / "steps"),
        )
        maker = conversion.prepare()
        count = sum(one.numel() for one in maker.network.parameters())
        found["parameters"] = count
        for planned in plan.variants:
            try:
                made = maker.make(planned)
            except EdgePrepError as error:
                stage = "quantize" if planned.precision == "int8" else ""
                found[planned.precision] = _fault(error, stage, planned.exporter.name)
                if planned.precision == "fp32":
                    # int8 is made of it.
                    return
            else:
                found[planned.precision] = {
                    "parity": made.record.parity.relative,
                    "size_mb": made.record.size_bytes / 1e6,
                    "latency_ms": made.latency_ms,
                }


def _fault(error: Exception, stage: str, target: str) -> dict[str, Any]:
    """Where it failed, at which operator, by which road."""
    # Where a library lies on this machine is nobody else's business.
    message = re.sub(r"/\S*/site-packages/", "", " ".join(str(error).split()))
    print(f"{stage}: {message}", file=sys.stderr)
    match error:
        case ParityError() | OutputError():
            stage = "parity"
        case BackendError():
            stage = "run"
        case ExportError() if not stage:
            # torch.onnx captures, and then looks a function up for each operator.
            captured = "ONNX function" in message or "translating node" in message
            is_of_onnx = "torch.onnx.export must take" in message
            stage = "capture" if is_of_onnx and not captured else "export"
    return {
        "stage": stage,
        "operator": _operator(message) if stage in ("capture", "export", "run", "quantize") else "",
        "reason": message,
        "road": ROADS[target],
    }


def _operator(message: str) -> str:
    for pattern in _OPERATORS:
        if found := re.search(pattern, message):
            return found[1]
    return ""
