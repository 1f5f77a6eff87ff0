"""A small combiner that has learnt how far to trust each member in each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.combine.combiner import Arrays, Combiner, Terms, check_shapes
from edgeprep.interfaces import BlendKind
from edgeprep.tasks.activation import sigmoid, softmax

__all__ = ["Stack", "evidence"]

# A score below says no more than this one: its logarithm would, without end.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack(Combiner):
    """Logistic regression on the logarithms of the members' scores.

    Attributes:
        penalty: how strongly what is learnt is held near nothing; the greater, the more.
    """

    name: ClassVar[str] = "stack"
    kinds: ClassVar[tuple[BlendKind, ...]] = ("class", "classes")
    teacher: ClassVar[str] = "edgeprep.ensembles.learn:learn"

    penalty: Annotated[float, msgspec.Meta(gt=0)] = 1.0

    def learnt_shapes(
        self, kind: BlendKind, members: int, classes: int
    ) -> Mapping[str, tuple[int, ...]]:
        """See `Combiner.learnt_shapes`: weights of what `evidence` gives, and a bias a class."""
        inputs = members * classes if kind == "class" else members
        return {"weights": (classes, inputs), "bias": (classes,)}

    def join(self, answers: Sequence[Arrays], terms: Terms) -> Arrays:
        """See `Combiner.join`."""
        check_shapes(answers)
        given = evidence(answers, terms.kind)
        weights, bias = (terms.learnt[name].astype(np.float64) for name in ("weights", "bias"))
        if terms.kind == "class":
            logits = weights @ given + bias
            return (softmax(logits),)
        return (sigmoid((weights * given).sum(axis=1) + bias),)


def evidence(answers: Sequence[Arrays], kind: BlendKind) -> NDArray[np.float64]:
    """What the combiner looks at, of scores in 0..1.

    Returns:
        Of "class" `(members · classes,)`, the logarithms of all scores; of "classes"
        `(classes, members)`, the logits.
    """
    scores: NDArray[Any] = np.stack([arrays[0] for arrays in answers]).astype(np.float64)
    if kind == "class":
        return np.asarray(np.log(np.clip(scores, _LEAST, 1.0)).reshape(-1))
    bounded = np.clip(scores, _LEAST, 1.0 - _LEAST)
    return np.asarray(np.log(bounded / (1.0 - bounded)).T)
