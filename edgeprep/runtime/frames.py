"""Where the network looks in pictures, worked out once for each size."""

from typing import Any

from numpy.typing import NDArray

from edgeprep.geometry import Frame
from edgeprep.interfaces import Task
from edgeprep.stages.chain import Chain

__all__ = ["Frames"]

# A camera has one size; a folder of photographs may have any number.
_MOST = 64


class Frames:
    """The frames of pictures that go through one chain. It may be shared between threads."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._known: dict[tuple[int, int], Frame] = {}

    @classmethod
    def for_task(cls, task: Task, chain: Chain) -> "Frames | None":
        """Those of `chain`; None where `task` has no use for them."""
        return cls(chain) if task.spatial else None

    def of(self, picture: NDArray[Any]) -> Frame:
        """The frame of `picture`, `(H, W, C)`, which the chain accepts."""
        rows, width = picture.shape[:2]
        # Planes have half as many rows again as pixels.
        size = (rows * 2 // 3 if self._chain.input.is_planar else rows, width)
        frame = self._known.get(size)
        if frame is None:
            if len(self._known) >= _MOST:
                self._known = {}
            frame = self._known[size] = self._chain.frame(*size)
        return frame
