"""What runners of TFLite files have in common: what they take and give, and their errors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Runner
from edgeprep.tensors import DType, TensorSpec

__all__ = ["WHERE", "SignedRunner", "closed", "line"]

WHERE = "backend 'litert'"

_DTYPES: Mapping[np.dtype[Any], DType] = {
    np.dtype(name): name for name in ("uint8", "int8", "int32", "int64", "float16", "float32")
}


class SignedRunner(Runner):
    """Takes and gives the tensors of its file's signature, by their names, in the graph's order.

    Args:
        interpreter: of the file.

    Raises:
        BackendError: the file has not one signature.
    """

    def __init__(self, interpreter: Any) -> None:
        try:
            signature = interpreter.get_signature_runner()
            inputs = _specs(interpreter.get_input_details(), signature.get_input_details())
            outputs = _specs(interpreter.get_output_details(), signature.get_output_details())
        except (ValueError, KeyError, IndexError) as error:
            raise BackendError(
                f"{WHERE}: a model must have one signature that names its tensors, "
                f"got {line(error)!r}"
            ) from error
        self._inputs = tuple(spec for _, spec in inputs)
        self._outputs = tuple(spec for _, spec in outputs)
        self._input_indices = tuple(index for index, _ in inputs)
        self._output_indices = tuple(index for index, _ in outputs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.inputs`."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Runner.outputs`."""
        return self._outputs


def closed() -> ClosedError:
    """What a call after `close` comes to."""
    return ClosedError(f"{WHERE}: a runner must be open to run, got one that was closed")


def line(error: Exception) -> str:
    """An error of the library in one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _specs(
    ordered: list[dict[str, Any]], named: Mapping[str, dict[str, Any]]
) -> list[tuple[int, TensorSpec]]:
    """The tensors with their index, in the graph's order, under the signature's names.

    The signature lists them in alphabetical order. Of a tensor that is two outputs, an answer and
    the new state `next_…`, the state is the later one.
    """
    names: dict[int, list[str]] = {}
    for name in sorted(named, key=lambda name: (name.startswith("next_"), name)):
        names.setdefault(named[name]["index"], []).append(name)
    return [
        (
            detail["index"],
            TensorSpec(
                name=names[detail["index"]].pop(0),
                shape=tuple(detail["shape"].tolist()),
                dtype=_DTYPES[np.dtype(detail["dtype"])],
            ),
        )
        for detail in ordered
    ]
