"""The primitives over numpy arrays where OpenCV is installed and does one of them quicker."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import Stage
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

__all__ = ["OpenCVPrimitives"]

Array = NDArray[Any]

NUMPY = NumpyPrimitives()


class OpenCVPrimitives(NumpyPrimitives):
    """Plain bilinear resizes of uint8 pictures by OpenCV, and all else as numpy does it.

    NOTE: not area: OpenCV takes 1.5 to 1.8 times as long as the banded product for what cameras
    give (480 to 1080 rows to 224). It has nothing that is antialiased bilinear.

    Source: within 0.85 levels of the definition (tests/stages/test_opencv_host.py).
    """

    def run(self, stage: Stage, x: Array, image: ImageSpec) -> Array:
        """Stages that allow it by OpenCV; those after them are told that levels stayed uint8."""
        if x.dtype.name != image.dtype:
            image = image.replace(dtype=x.dtype.name)
        # Other stages, which anyone may write, count on float32 from `resize_linear`.
        F = self if stage.host_primitives else NUMPY
        return stage.apply(F, x, image)

    def split(self, picture: Array) -> Sequence[Array]:
        """The channels of `(H, W, C)`, one after the other in memory where they are uint8."""
        if picture.dtype != np.uint8:
            return super().split(picture)
        if picture.strides[2] < 0:
            return cv2.split(picture[..., ::-1])[::-1]
        return cv2.split(picture)

    def resize_linear(self, x: Array, height: int, width: int) -> Array:
        """Half-pixel bilinear; what was uint8 stays uint8, rounded with 11 bits of fraction."""
        if x.dtype != np.uint8:
            return super().resize_linear(x, height, width)
        if x.strides[3] < 0:  # OpenCV would copy the whole picture
            return self.resize_linear(x[..., ::-1], height, width)[..., ::-1]
        result = np.empty((x.shape[0], height, width, x.shape[3]), np.uint8)
        for picture, target in zip(x, result, strict=True):
            cv2.resize(picture, (width, height), target, interpolation=cv2.INTER_LINEAR)
        return result
