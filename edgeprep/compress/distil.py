"""Distillation: a network learns what another one answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from edgeprep.interfaces import Need, Pass, Reading, Workbench
from edgeprep.recipe.tables import StateTable

if TYPE_CHECKING:
    import torch

__all__ = ["Distil", "Hint", "TeacherFactory"]

Text = Annotated[str, Meta(min_length=1)]
Multiplier = Annotated[float, Meta(gt=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFactory:
    """A teacher that code makes; it takes what the student takes.

    Attributes:
        factory: `module:function`, a `.py` file beside the recipe or an installed module.
        arguments: what the function is called with, by name.
        weights: a file of weights, relative to the recipe; absent where the factory loads them.
        labels: the name of each class, in the order of its output; absent where it is that of the
            student.
        state: what it takes after a picture, as `[[model.state]]`; absent: what the student does.
            Where it is empty it takes whole clips `(N, frames, …)`.
    """

    factory: Text
    arguments: Mapping[str, object] = field(default_factory=dict)
    weights: Text | None = None
    labels: tuple[Text, ...] | None = None
    state: tuple[StateTable, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Two modules that are to see alike.

    Attributes:
        student: the path of a module of the network, such as "features.5".
        teacher: the path of a module of the teacher.
        weight: of their mean squared difference, in the loss.
    """

    student: Text
    teacher: Text
    weight: Positive = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Distil(Pass):
    """Teach the network what a larger one answers.

    The loss is `weight` times the distance from the teacher's answers and 1 - `weight` times the
    task's own loss, and the hints' on top; where the training data have no labels, the teacher's
    answers alone.

    Attributes:
        teacher: the path of a recipe, of a directory with a `recipe.toml`, or of a bundle, from
            the recipe's directory; or a factory. A recipe and a bundle see pictures as they
            prescribe themselves; of a clip all frames, where they remember or take several, or else
            the last one.
        temperature: what logits are divided by, on both sides; the higher, the more the unlikely
            classes count.
        weight: of the teacher's answers, in 0..1.
        hints: modules whose output is to be that of a module of the teacher.
        start: "weights", to go on from those that the network has, or "scratch", from new ones.
        width: the share of the channels that the student keeps in every layer.
        depth: the share of the repeated blocks that the student keeps, in every sequence of them.
        epochs: how often the training data are gone through.
        learning_rate: the highest one; absent: that of `[train]`.

    Source: Hinton et al., arXiv:1503.02531, for answers; Romero et al., arXiv:1412.6550, for hints.
    """

    name: ClassVar[str] = "distil"
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    install: ClassVar[str] = "edgeprep[convert]"

    teacher: Text | TeacherFactory
    temperature: Annotated[float, Meta(ge=1)] = 4.0
    weight: Annotated[float, Meta(ge=0, le=1)] = 0.9
    hints: tuple[Hint, ...] = ()
    start: Literal["weights", "scratch"] = "weights"
    width: Multiplier = 1.0
    depth: Multiplier = 1.0
    epochs: Annotated[int, Meta(ge=1)] = 20
    learning_rate: Positive | None = None

    def __post_init__(self) -> None:
        if self.weight == 0 and not self.hints:
            raise ValueError("weight: must be above 0 where there are no hints, got 0.0")

    def apply(self, network: "torch.nn.Module", bench: Workbench) -> "torch.nn.Module":
        """The student, trained.

        Args:
            network: the student, or what it is derived from.
            bench: names training data.

        Raises:
            RecipeError: the teacher cannot be opened, its answers are not those of the task, a
                hint names no module, or no such student can be derived.
            CheckpointError: the weights of the teacher do not fit.
            BundleError: the teacher is not a whole, unchanged bundle.
            TrainingError: the loss is NaN or infinite.
        """
        from edgeprep.compress._distil import distil

        return distil(self, network, bench)

    def needs(self) -> tuple[Need, ...]:
        """See `Pass.needs`."""
        return ("training", "imitation")

    def files(self, directory: Path) -> tuple[Path, ...]:
        """See `Pass.files`: those of the teacher."""
        from edgeprep.compress._teacher import teacher_files

        return teacher_files(self.teacher, directory)

    def reads(self) -> tuple[Reading, ...]:
        """See `Pass.reads`."""
        return ()
