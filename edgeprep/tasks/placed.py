"""What tasks ask for whose results lie in the picture."""

from edgeprep.errors import ShapeError
from edgeprep.geometry import Frame

__all__ = ["need_frame"]


def need_frame(frame: Frame | None, task: str) -> Frame:
    """`frame` itself.

    Raises:
        ShapeError: it is None: whoever decodes has not asked whether `task` is spatial.
    """
    if frame is None:
        rule = f"task {task!r} must know where the network looks"
        raise ShapeError(f"frame: {rule}, got None")
    return frame
