"""The outputs as they are, for networks that have no task of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.tensors import TensorSpec

__all__ = ["RawTensors", "Tensors"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTensors:
    """The outputs for one frame.

    Attributes:
        arrays: in the network's order, without the frame axis.
    """

    arrays: tuple[NDArray[Any], ...]

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {"arrays": [array.tolist() for array in self.arrays]}

    def __str__(self) -> str:
        return "; ".join(f"{array.dtype} {array.shape}" for array in self.arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors(Task):
    """Networks with any outputs; the first axis of each is the frame."""

    name: ClassVar[str] = "tensors"
    metrics: ClassVar[tuple[str, ...]] = ()

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless every output begins with a frame axis of length 1."""
        shapes = [output.shape for output in outputs]
        if not shapes or any(shape[:1] != (1,) for shape in shapes):
            raise RecipeError(f"task: 'tensors' needs outputs with shapes (1, …), got {shapes}")

    def decode(self, outputs: tuple[NDArray[Any], ...]) -> tuple[RawTensors, ...]:
        """The rows of all outputs, frame by frame."""
        return tuple([RawTensors(arrays=rows) for rows in zip(*outputs, strict=True)])
