"""What a teacher with a preprocessing of its own makes of the student's pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.runtime.inputs import from_rgb
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.tensors import ImageSpec
from edgeprep.train.views import View

__all__ = ["view_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _HostView:
    """A picture in the colours of the student, as the teacher's graph takes it.

    It goes to processes that read pictures.

    Attributes:
        converts: whether the teacher has other colours.
        to_rgb: what is done first to convert, where the student's are not red, green and blue.
        host: the teacher's share before its graph.
    """

    converts: bool
    to_rgb: Chain | None
    host: Chain

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`(H, W, C)`, uint8, to another such array, of one size."""
        if self.to_rgb is not None:
            picture = self.to_rgb.prepare(picture)[0]
        if self.converts:
            picture = from_rgb(picture, self.host.input)
        prepared: NDArray[np.uint8] = self.host.prepare(picture)[0]
        return prepared


def view_of(host: Chain, taken: ImageSpec) -> View:
    """The share of a teacher's preprocessing that comes before its graph.

    Args:
        host: that share.
        taken: the pictures that the student takes.

    Raises:
        RecipeError: such pictures cannot go through it.
    """
    wanted = host.input
    if host.remembers:
        raise RecipeError("preprocess: must look at one picture at a time, got one with a memory")
    if wanted.is_fixed and wanted.size != (taken.height, taken.width):
        rule = "must be that of the student, or free"
        got = [wanted.height, wanted.width]
        raise RecipeError(f"input.size: {rule}, got {got!r} for {[taken.height, taken.width]!r}")
    converts = (wanted.color, wanted.yuv_range) != (taken.color, taken.yuv_range)
    to_rgb = None
    if converts and taken.color != "rgb":
        to_rgb = Chain(input=taken, stages=(Color(to="rgb"),))
    return _HostView(converts=converts, to_rgb=to_rgb, host=host)
