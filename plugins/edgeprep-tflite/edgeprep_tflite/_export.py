"""From torch to TFLite."""

import hashlib
import re
from unittest import mock
from weakref import WeakKeyDictionary

import torch

from edgeprep.errors import BackendError, ExportError
from edgeprep.interfaces import CALIBRATED, Feeds, Model, Precision, RangeCoverage, Source
from edgeprep_tflite._engine import InterpreterRunner
from edgeprep_tflite._quiet import quiet

with quiet():
    import litert_torch  # type: ignore[import-untyped]
    from litert_torch.backend import debuginfo  # type: ignore[import-untyped]

    from edgeprep_tflite import _quantize
    from edgeprep_tflite._biases import flatten_biases
    from edgeprep_tflite._coverage import measure_ranges
    from edgeprep_tflite._doubles import InFloat32
    from edgeprep_tflite._expansions import Unexpanded
    from edgeprep_tflite._folds import FoldsMoved
    from edgeprep_tflite._ranges import Converted, activation_ranges
    from edgeprep_tflite._reshapes import free_pictures
    from edgeprep_tflite._resize import resize_levels

__all__ = ["coverage", "export"]

# The float file is where every precision starts, and a conversion takes seconds. By network, then
# by what else it was made of.
_converted: WeakKeyDictionary[torch.nn.Module, dict[str, Converted]] = WeakKeyDictionary()


def export(source: Source, precision: Precision) -> Model:
    """The model as one file, `model.tflite`.

    Raises:
        ExportError: an operator has no TFLite form, or the file cannot be quantized.
    """
    with quiet():
        converted = _float(source)
        try:
            content = _at_precision(converted, source, precision)
        except ExportError:
            raise
        except Exception as error:  # the quantizer lets out errors of every kind
            raise ExportError(
                f"exporter 'tflite': ai-edge-quantizer must write {precision}, "
                f"got {type(error).__name__}: {_first_line(error)}"
            ) from error
        _check_tensors(content, source)
    return Model(format="tflite", files={"model.tflite": content})


def coverage(
    source: Source, precision: Precision, evaluation: Feeds | None
) -> tuple[RangeCoverage, ...]:
    """One for each activation that is quantized at `precision`, in the order of the graph.

    Raises:
        ExportError: the network cannot be written at this precision.
    """
    with quiet():
        converted = _float(source)
        ranges = activation_ranges(converted, source, precision)
        quantized = _quantize.quantize(converted.content, source, ranges, precision)
        return measure_ranges(converted, quantized, source, evaluation)


def _at_precision(converted: Converted, source: Source, precision: Precision) -> bytes:
    content = converted.content
    if precision == "fp32":
        return content
    if precision == "fp16":
        return _quantize.cast_weights(content)
    ranges = activation_ranges(converted, source, precision) if precision in CALIBRATED else {}
    quantized = _quantize.quantize(content, source, ranges, precision)
    return resize_levels(quantized) if precision == "int8" else quantized


def _check_tensors(content: bytes, source: Source) -> None:
    """Load what was written, and compare what it takes and gives with what the source does."""
    try:
        runner = InterpreterRunner(content, threads=1)
    except BackendError as error:
        # Such as an operator that TensorFlow has and LiteRT has not.
        raise ExportError(f"exporter 'tflite': the file must load, got {error}") from error
    for kind, found, wanted in (
        ("input", runner.inputs, source.inputs),
        ("output", runner.outputs, source.outputs),
    ):
        if found != wanted:
            raise ExportError(f"exporter 'tflite': the {kind}s must be {wanted!r}, got {found!r}")


class _Named(torch.nn.Module):
    """The deployed module, with the names that the file's signature shall have."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.deployed = source.deployed
        self._names = tuple(output.name for output in source.outputs)
        self._states = tuple(state.name for state in source.states)

    def forward(self, image: torch.Tensor, **states: torch.Tensor) -> dict[str, torch.Tensor]:
        with InFloat32(), Unexpanded(), FoldsMoved():
            outputs = self.deployed(image, *(states[name] for name in self._states))
        return dict(zip(self._names, outputs, strict=True))


def _float(source: Source) -> Converted:
    known = _converted.setdefault(source.deployed.get_submodule("network"), {})
    key = _fingerprint(source)
    if key not in known:
        known[key] = Converted(content=_convert(source))
    return known[key]


def _fingerprint(source: Source) -> str:
    digest = hashlib.sha256(repr((source.inputs, source.outputs)).encode())
    digest.update(source.preprocessing_onnx)
    for tensor in (*source.network.parameters(), *source.network.buffers()):
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _convert(source: Source) -> bytes:
    module = _Named(source).eval()
    inputs = {spec.name: torch.zeros(spec.shape) for spec in source.inputs}
    inputs[source.input.name] = inputs[source.input.name].to(torch.uint8)
    try:
        with mock.patch.object(debuginfo, "build_mlir_debuginfo", _module_path):
            program = litert_torch.convert(
                module,
                sample_kwargs=inputs,
                # Without it int64 becomes int32, which is right for all but an output.
                enable_x64=any(output.dtype == "int64" for output in source.outputs),
            )
        content = flatten_biases(bytes(program.model_content()))
        alone = source.states or source.input.shape[0] > 1
        return content if alone else free_pictures(content)
    except Exception as error:  # torch.export, jax and MLIR let out errors of every kind
        raise ExportError(_explain(error)) from error


def _module_path(node: torch.fx.Node) -> str | None:
    """What the converter names a node's tensors by: the path of its module, and a semicolon.

    litert-torch's own names hold the last part of each path only, so that layers of two lists
    cannot be told apart.
    """
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path, _ = list(stack.values())[-1]
    # A module that is called for the second time is `path@1`.
    return re.sub(r"@\d+", "", str(path)).removeprefix("deployed.") + ";"


def _explain(error: Exception) -> str:
    text, reason = str(error), _first_line(error)
    operator = re.search(
        r"Lowering not found: ([\w.]+)|legalize operation '([\w.]+)'|torch\.ops\.([\w.]+)", text
    )
    if operator is None:
        return (
            "exporter 'tflite': litert-torch must convert the network, "
            f"got {type(error).__name__}: {reason}"
        )
    name = next(group for group in operator.groups() if group)
    return (
        f"exporter 'tflite': every operator must have a TFLite form, got {name!r} ({reason}); "
        "replace it in the network, or leave this target out"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0][:300]
