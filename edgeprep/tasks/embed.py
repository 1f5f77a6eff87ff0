"""A vector for each picture: near where pictures are alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.geometry import Frame
from edgeprep.interfaces import Blending, Task
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Embed", "Embedding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed(Task):
    """Networks with one output `(1, length)`.

    A sample is held against the number of its class: its nearest neighbours are to be of the same.

    Attributes:
        labels: the names of the classes of data; where none are given, numbers are taken as they
            are.
    """

    name: ClassVar[str] = "embed"
    metrics: ClassVar[tuple[str, ...]] = ("recall-at-1", "recall-at-5")
    truth: ClassVar[TruthKind | None] = "class"

    labels: tuple[str, ...] | None = None

    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError unless there is one output `(1, length)`."""
        shapes = [output.shape for output in outputs]
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != 1:
            raise RecipeError(f"task: 'embed' needs one output (1, length), got {shapes}")

    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> "Embedding":
        """The vector."""
        return Embedding(outputs[0][0])

    @property
    def blending(self) -> Blending:
        """See `Task.blending`: by the vectors at length 1."""
        return Blending(
            kind="vectors",
            same={},
            take=lambda result: (result.vector,),
            give=lambda arrays: Embedding(arrays[0]),
        )


@dataclass(frozen=True, eq=False, repr=False)
class Embedding:
    """Where one picture lies among others: an immutable value.

    Attributes:
        output: `(length,)`, what the network gave; it must not change afterwards.
    """

    output: NDArray[Any]

    @cached_property
    def vector(self) -> NDArray[np.float32]:
        """The output at length 1, `(length,)`; zeros where it has none."""
        values = self.output.astype(np.float32)
        length = float(np.linalg.norm(values))
        values = values / length if length else values
        values.flags.writeable = False
        return values

    def similarity(self, other: "Embedding") -> float:
        """The cosine of the angle between both, in -1..1: 1 where they point the same way.

        Raises:
            ShapeError: the vectors are of two lengths.
        """
        if self.output.shape != other.output.shape:
            rule = f"must have the same length, {len(self.output)}"
            raise ShapeError(f"other: {rule}, got {len(other.output)}")
        return float(self.vector @ other.vector)

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints."""
        return {"vector": self.vector.tolist()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Embedding) and np.array_equal(self.vector, other.vector)

    def __hash__(self) -> int:
        return hash(self.vector.tobytes())

    def __str__(self) -> str:
        first = ", ".join(f"{value:.3f}" for value in self.vector[:4])
        return f"[{first}{', …' if len(self.vector) > 4 else ''}] of {len(self.vector)}"

    def __repr__(self) -> str:
        return f"Embedding({self})"
