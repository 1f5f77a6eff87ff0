"""What a network answered, as results of its task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from numpy.typing import NDArray

from edgeprep.data.prepared import Prepared
from edgeprep.interfaces import Task

__all__ = ["Decoded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded(Sequence[Any]):
    """The results for samples, as metrics ask for them.

    Each is decoded when it is asked for, as masks of many fill the memory; and in the form in which
    its task is scored, `Task.for_scoring`.

    Attributes:
        task: decodes outputs.
        outputs: one tuple a sample.
        samples: what was answered.
    """

    task: Task
    outputs: Sequence[tuple[NDArray[Any], ...]]
    samples: Prepared

    def __len__(self) -> int:
        return len(self.outputs)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        # NOTE: `Sequence` iterates until there is an IndexError, which this raises.
        task = self.task.for_scoring()
        return task.decode(self.outputs[index], self.samples.frame(index))
