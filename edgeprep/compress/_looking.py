"""How a teacher sees what its student is given: a film from its beginning, a clip, or its end."""

from collections.abc import Sequence

import torch

from edgeprep.errors import RecipeError
from edgeprep.tensors import TensorSpec
from edgeprep.train.unroll import unrolled

__all__ = ["Looking", "check_frames"]

# Samples, frames, and the three axes of a picture.
_CLIP = 5


class Looking(torch.nn.Module):
    """`network`, for samples of any student.

    One that remembers goes through a clip frame by frame, and takes a picture for a film of one
    frame. One of single pictures answers for the last frame.

    Args:
        network: that of a teacher.
        states: what it takes after a picture.
        frames: how many it takes at once; None: as many as there are.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        states: Sequence[TensorSpec] = (),
        frames: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._states = tuple(states)
        self._frames = frames

    def forward(self, samples: torch.Tensor) -> object:
        """What it answers to `(N, …)`, or to clips `(N, frames, …)`.

        Raises:
            RecipeError: they have another number of frames.
        """
        is_clip = samples.ndim == _CLIP
        if self._states:
            film = samples if is_clip else samples.unsqueeze(1)
            return unrolled(self.network, self._states)(film)
        if is_clip and self._frames == 1:
            return self.network(samples[:, -1])
        check_frames(self._frames, samples.shape[1] if is_clip else 1)
        return self.network(samples)


def check_frames(wanted: int | None, got: int) -> None:
    """Raise RecipeError where a teacher that takes `wanted` frames gets others; None: any."""
    if wanted not in (None, got):
        raise RecipeError(f"must get {wanted} frames, as it takes at once, got {got}")
