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
    """The results for samples, each decoded when it is asked for: masks of many fill the memory.

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
        return self.task.decode(self.outputs[index], self.samples.frame(index))
