"""What fakes compute: the mean of each channel of 4×4 pictures."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import TensorSpec

IMAGE = TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="uint8")
LOGITS = TensorSpec(name="logits", shape=(1, 3), dtype="float32")

GREEN = np.broadcast_to(np.array([10, 200, 30], np.uint8), (4, 4, 3)).copy()
RAMP = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
# By hand: channel 0 holds 0, 3, 6, … 45, whose mean is 22.5; the others one and two more.
RAMP_MEANS = np.array([[22.5, 23.5, 24.5]], np.float32)


def channel_means(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network: `(N, H, W, 3)` to `(N, 3)`."""
    return image.mean(axis=(1, 2), dtype=np.float32)
