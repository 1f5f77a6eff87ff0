"""Golden samples: a device is held to what the task compares, not to the largest of an output."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.interfaces import Compared, Task
from edgeprep.runtime.candidates import Rules, list_candidates
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.tasks.tensors import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Tensors):
    """Tells numbers apart, as those of classes are."""

    def compared(self, outputs: tuple[NDArray[Any], ...]) -> tuple[Compared, ...]:
        return (Compared(output=0, values=np.floor(outputs[0] * 1000).astype(np.int64)),)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (Tensors(), "right, which it is"),
        (Numbers(), "wrong numbers: relative error 1, allowed 0.001"),
    ],
    ids=["whole", "parts"],
)
def test_a_device_is_held_to_what_the_task_compares(
    task: Task, found: str, bundle: Path, fakes: SimpleNamespace
) -> None:
    class Nearly(fakes.Right):  # type: ignore[misc]
        name = "nearly"

        def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
            means: NDArray[np.float32] = super().compute(image)
            return means * np.float32(1.0005)

    opened = OpenedBundle.read(bundle, fakes.registry(Nearly))
    opened.task = task
    reachable, left_out = list_candidates(opened.variants, opened.registry, Rules())
    with opened.prober(left_out) as prober:
        trial = prober.prove(reachable[0])
        said = "right, which it is" if trial else prober.outcomes[0].reason
        if trial:
            assert prober.prove_again(trial)
            trial.runner.close()
    assert said == found
