"""What the outputs of a network mean."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy import float32, uint8
from numpy.typing import NDArray

from edgeprep.geometry import Frame
from edgeprep.interfaces.blending import Blending
from edgeprep.interfaces.compared import Compared, whole
from edgeprep.tensors import TensorSpec
from edgeprep.truths import TruthKind

__all__ = ["Result", "Task", "Tiling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How pictures of any size go through a network of one size, and come out as pictures.

    Attributes:
        overlap: how many pixels neighbouring tiles share.
        scale: how many times as wide and high as the picture the result is.
        levels: makes `(H, W, C)`, uint8, of joined outputs `(C, H, W)`, some rows at a time.
        result: makes the task's result of the whole, `(H, W, C)`, uint8.
    """

    overlap: int
    scale: int
    levels: Callable[[NDArray[float32]], NDArray[uint8]]
    result: Callable[[NDArray[uint8]], Any]


class Result(Protocol):
    """What a task says of one picture: a frozen value, with names of its own for what it says.

    If it has `marks()`, see edgeprep.marks, these are drawn; otherwise its words, `str`, are.
    """

    def to_json(self) -> Mapping[str, object]:
        """What `edgeprep run --format json` prints: as little as is worth reading."""


class Task(ABC):
    """What the outputs of a network mean. Its fields are the keys of the recipe's `[task]`.

    Where classes have names, they are the field `labels`, in the order of their numbers.

    Attributes:
        name: what recipes call it.
        metrics: how it can be scored; the first one is the default.
        truth: what a sample is held against; None where there is no such thing.
        clips: whether it is a matter of several pictures, which networks must take at once
            (`input.frames`) or remember (`model.state`).
        spatial: whether results lie in the picture, so that `decode` has to know its `Frame`.
        objective: `module:Class` of the `Objective` that training makes small, which is called
            with the task and the `[train]` table; "" where there is none.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    truth: ClassVar[TruthKind | None] = None
    clips: ClassVar[bool] = False
    spatial: ClassVar[bool] = False
    objective: ClassVar[str] = ""

    @property
    def tiling(self) -> Tiling | None:
        """How larger pictures are cut and joined; None: pictures come as the recipe says."""
        return None

    @property
    def blending(self) -> Blending | None:
        """How results of several networks are joined, in an ensemble; None: they cannot be."""
        return None

    def for_scoring(self) -> "Task":
        """The task as data are scored by it, with what applications rather leave out; else itself.

        Whatever decodes results for metrics asks for it: training, conversion and evaluation.
        """
        return self

    def compared(self, outputs: tuple[NDArray[Any], ...]) -> tuple[Compared, ...]:
        """What two networks are compared by: all of `outputs`, cut where magnitudes are different.

        Devices ask for it, too, so that it takes views and copies little.

        Args:
            outputs: of the network, as `check_outputs` accepted them, of one picture or more; the
                states that it hands on may come after them.
        """
        return whole(outputs)

    def decided(self, outputs: tuple[NDArray[Any], ...]) -> float | None:
        """How far the answer is from being another one, beside the largest number in `outputs`.

        Golden samples are taken among the least decided ones, which tell a damaged network from the
        right one soonest.

        Args:
            outputs: of the network, as `check_outputs` accepted them, of one sample.

        Returns:
            0 where two answers are as good as each other; None where there are no answers to choose
            from.
        """
        return None

    @abstractmethod
    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError where a network with such outputs cannot serve this task."""

    @abstractmethod
    def decode(self, outputs: tuple[NDArray[Any], ...], frame: Frame | None = None) -> Result:
        """The typed result for one picture: a frozen value.

        Args:
            outputs: of the network, as `check_outputs` accepted them. They do not change
                afterwards, so that a result may be worked out when it is looked at.
            frame: of the picture; None unless the task is `spatial`.

        Raises:
            ShapeError: the outputs cannot be those for a picture that the network sees so. A
                conversion decodes one sample before it begins, for then it is no fault of a device.
        """
