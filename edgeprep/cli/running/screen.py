"""A window for live pictures, by OpenCV where it has one."""

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendUnavailable

__all__ = ["Window", "open_window"]

_ESCAPE = 27
_VISIBLE = 4  # cv2.WND_PROP_VISIBLE
_NORMAL = 0  # cv2.WINDOW_NORMAL: people may resize it


class Window:
    """A window of OpenCV; `q`, Escape or closing it ends the run."""

    def __init__(self, cv2: Any, name: str) -> None:
        self._cv2 = cv2
        self._name = name

    def show(self, picture: NDArray[np.uint8]) -> bool:
        """Show `(H, W, 3)`, uint8, RGB; whether people want to see more."""
        self._cv2.imshow(self._name, np.ascontiguousarray(picture[..., ::-1]))
        if self._cv2.waitKey(1) & 0xFF in (_ESCAPE, ord("q")):
            return False
        return bool(self._cv2.getWindowProperty(self._name, _VISIBLE) >= 1)

    def close(self) -> None:
        """Let go of it."""
        self._cv2.destroyAllWindows()


def open_window(name: str) -> Window:
    """A window on this machine's display.

    Raises:
        BackendUnavailable: there is no display, or no OpenCV that has windows.
    """
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise BackendUnavailable(
            "showing live pictures needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is "
            "set; pass --headless"
        )
    try:
        import cv2
    except ImportError as error:
        raise BackendUnavailable(
            "showing live pictures needs OpenCV, which is not installed; "
            "pip install opencv-python, or pass --headless"
        ) from error
    try:
        cv2.namedWindow(name, _NORMAL)
    except cv2.error as error:
        raise BackendUnavailable(
            "showing live pictures needs an OpenCV that has windows, and this one has not; "
            "pip install opencv-python in the place of opencv-python-headless, or pass --headless"
        ) from error
    return Window(cv2, name)
