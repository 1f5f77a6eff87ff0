"""What joins the results of several networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import OutputError
from edgeprep.interfaces import BlendKind

__all__ = ["Arrays", "Combiner", "Terms", "check_shapes"]

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """On which terms members are joined.

    Attributes:
        kind: what their arrays are; see `Blending`.
        weights: `(members,)`, float64, above 0.
        learnt: what the combiner has learnt, by name; empty for those that learn nothing.
    """

    kind: BlendKind
    weights: NDArray[np.float64]
    learnt: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Combiner(ABC):
    """One way to join. Implementations are frozen values; their fields are the keys of `[combine]`.

    Attributes:
        name: what recipes call it.
        kinds: of the arrays that it can join.
        version: of what it computes; the manifests of ensembles name it, so that another one is not
            taken for it.
        teacher: where one is taught on `data.training`, what does so, `module:function`, imported
            where ensembles are made alone; such a combiner weighs members by itself.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[BlendKind, ...]]
    version: ClassVar[int] = 1
    teacher: ClassVar[str] = ""

    @property
    def learns(self) -> bool:
        """Whether it is taught."""
        return bool(self.teacher)

    def learnt_shapes(
        self, kind: BlendKind, members: int, classes: int
    ) -> Mapping[str, tuple[int, ...]]:
        """The shapes of what it learns, float32, by name.

        Args:
            kind: what the members' arrays are.
            members: how many they are.
            classes: how many classes their results have.
        """
        return {}

    @abstractmethod
    def join(self, answers: Sequence[Arrays], terms: Terms) -> Arrays:
        """One answer of those of the members, in their order.

        Args:
            answers: the arrays of each member's result, as `Blending.take` gives them.
            terms: one weight for each.

        Returns:
            What `Blending.give` takes.

        Raises:
            OutputError: they are not of one shape where they have to be.
        """


def check_shapes(answers: Sequence[Arrays]) -> None:
    """Refuse answers whose first arrays are not of one shape, which numpy might stretch.

    Raises:
        OutputError: one differs from that of the first member.
    """
    first = answers[0][0].shape
    for index, (array, *_) in enumerate(answers):
        if array.shape != first:
            rule = f"must give results of shape {first}, as member[0] does"
            raise OutputError(f"member[{index}]: {rule}, got {array.shape}")
