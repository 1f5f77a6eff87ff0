"""Memory that two processes see, and where arrays lie in it."""

import mmap
import os
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.tensors import TensorSpec

__all__ = ["Shared", "create", "size_of", "views"]

# As wide as the widest registers, which engines like their inputs aligned to.
_ALIGNMENT = 64


class Shared:
    """A piece of memory that was made here or comes from another process.

    It is given back to the system when nobody has it mapped and its file is closed.

    Args:
        file: an open file without a name.
        size_bytes: its length.
    """

    def __init__(self, file: int, size_bytes: int) -> None:
        self.file = file
        self.bytes = mmap.mmap(file, size_bytes)

    def close_file(self) -> None:
        """What is mapped stays so."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def create(size_bytes: int) -> Shared:
    """New memory, all zeros.

    Raises:
        OSError: the system has none to give.
    """
    file = _nameless_file()
    try:
        os.truncate(file, max(size_bytes, 1))
        return Shared(file, max(size_bytes, 1))
    except BaseException:
        os.close(file)
        raise


def size_of(specs: Iterable[TensorSpec]) -> int:
    """How many bytes arrays of `specs` take, one after another, aligned."""
    return sum(_aligned(spec) for spec in specs)


def views(memory: Shared, specs: Sequence[TensorSpec]) -> tuple[NDArray[Any], ...]:
    """The arrays of `specs` in `memory`."""
    arrays = []
    offset = 0
    for spec in specs:
        dtype = np.dtype(spec.dtype)
        flat = np.frombuffer(memory.bytes, dtype, prod(spec.shape), offset)
        arrays.append(flat.reshape(spec.shape))
        offset += _aligned(spec)
    return tuple(arrays)


def _aligned(spec: TensorSpec) -> int:
    size = prod(spec.shape) * np.dtype(spec.dtype).itemsize
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("edgeprep")
    import tempfile  # here, as Linux needs none

    file, path = tempfile.mkstemp(prefix="edgeprep-")
    os.unlink(path)
    return file
