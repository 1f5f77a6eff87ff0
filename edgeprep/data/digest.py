"""What tells pictures apart by their content."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["digest_of"]


def digest_of(picture: NDArray[np.uint8]) -> bytes:
    """16 bytes, the same for pictures of the same shape and content.

    Args:
        picture: `(H, W, C)`, uint8.
    """
    digest = blake2b(repr(picture.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()
