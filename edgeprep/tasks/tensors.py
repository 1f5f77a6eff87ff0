"""The outputs as they are, for networks that have no task of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.tensors import TensorSpec

__all__ = ["RawTensors", "Tensors"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTensors:
    """The outputs for one picture.

    Attributes:
        arrays: in the network's order, without the first axis.
    """

    arrays: tuple[NDArray[Any], ...]

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {"arrays": [array.tolist() for array in self.arrays]}

    def __str__(self) -> str:
        return "; ".join(f"{array.dtype} {array.shape}" for array in self.arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors(Task):
    """Networks with any outputs; the first axis of each has length 1."""

    name: ClassVar[str] = "tensors"
    metrics: ClassVar[tuple[str, ...]] = ()

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless every output begins with an axis of length 1."""
        shapes = [output.shape for output in outputs]
        if not shapes or any(shape[:1] != (1,) for shape in shapes):
            raise RecipeError(f"task: 'tensors' needs outputs with shapes (1, …), got {shapes}")

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> RawTensors:
        """The outputs without their first axis."""
        return RawTensors(arrays=tuple([output[0] for output in outputs]))
