"""What pictures and answers are like when a bundle is made, for devices to compare with."""

from collections.abc import Sequence

import numpy as np

from edgeprep.bundle import Reference
from edgeprep.conversion.score import Outputs
from edgeprep.data import Prepared
from edgeprep.interfaces import Placement, Task
from edgeprep.monitor.reference import classes_of, count_classes, make_reference
from edgeprep.stages.chain import Chain

__all__ = ["classes_in", "refer"]

# More tell no more, and cost a second.
_MOST = 2000


def classes_in(task: Task, samples: Prepared, outputs: Sequence[Outputs]) -> tuple[int, ...]:
    """How often a network finds each class in `samples`; () where there are none.

    Args:
        task: says what they are.
        samples: what it was asked.
        outputs: what it answered to each of them.
    """
    if classes_of(task) is None:
        return ()
    chosen = _some(len(outputs))
    return count_classes(task, (task.decode(outputs[one], samples.frame(one)) for one in chosen))


def refer(
    placement: Placement, chain: Chain, pictures: Prepared, classes: tuple[int, ...]
) -> Reference | None:
    """What `pictures` are like; None where they are too few to say.

    Args:
        placement: of the graphs that take them.
        chain: the whole preprocessing.
        pictures: for calibration, or held out where there are none.
        classes: how often the network finds each.
    """
    _, graph = chain.cut(placement)
    chosen = (pictures.inputs[one] for one in _some(len(pictures.inputs)))
    return make_reference(chosen, graph.input.color, placement=placement, classes=classes)


def _some(count: int) -> list[int]:
    """Numbers from end to end, as data often come class by class."""
    chosen: list[int] = np.unique(np.linspace(0, count - 1, min(count, _MOST)).astype(int)).tolist()
    return chosen
