"""MNIST and what else is in IDX files: Fashion-MNIST, KMNIST, EMNIST."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.arrays import Block, entries_of
from edgeprep.data.entry import Entry
from edgeprep.data.file_reader import LabelledReader, Text
from edgeprep.errors import DataError, RecipeError, StorageError
from edgeprep.files import open_regular
from edgeprep.interfaces import Task
from edgeprep.truths import TruthKind

__all__ = ["Mnist"]

_GZIP = b"\x1f\x8b"
# The type of unsigned bytes, after two bytes that are zero.
_UINT8 = b"\x00\x00\x08"
# Of all axes together: sixteen times as much as the largest of these sets.
_MOST_BYTES = 1 << 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist(LabelledReader):
    """Pictures of an IDX file, in grey or with the channels last, each with a class; in RGB.

    `path` is the file of the pictures. Both files may be as they are, or compressed by gzip.
    Pictures are as they are stored: those of EMNIST lie on their side.

    Attributes:
        labels: the IDX file of the classes, relative to the recipe's directory.
    """

    name: ClassVar[str] = "mnist"
    truths: ClassVar[tuple[TruthKind, ...]] = ("class",)

    labels: Text | None = None

    def is_labelled(self, *, directory: Path, where: str, task: Task) -> bool:
        """Whether the task is one of classes, and there is a file of them."""
        return task.truth in self.truths and self.labels is not None

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures of the file.

        Raises:
            RecipeError: labels are asked for, and no file of them is named.
            DataError: a file is not whole, is of another kind, or has a class without a label.
        """
        pictures = read_idx(directory / self.path, (3, 4), f"{where}.path")
        if pictures.ndim == 4 and pictures.shape[3] not in (1, 3):
            rule = "must have pictures of 1 or 3 channels, which come last"
            raise DataError(f"{where}.path: {rule}, got {pictures.shape}")
        if task is not None and self.labels is None:
            raise RecipeError(f"{where}.labels: must be given for task {task.name!r}, got None")
        if self.split is not None and self.labels is None:
            rule = "must be given where split is"
            remedy = "other tables are split by class, and sides would have pictures in common"
            raise RecipeError(f"{where}.labels: {rule}, got None; {remedy}")
        labels = None
        if self.labels is not None:
            labels = read_idx(directory / self.labels, (1,), f"{where}.labels")
            if len(labels) != len(pictures):
                rule = f"must have one class for each of the {len(pictures)} pictures"
                raise DataError(f"{where}.labels: {rule}, got {len(labels)}")
        block = Block(name=Path(self.path).name, pictures=pictures, labels=labels)
        number_of = None if task is None else self.class_map(task, where).of_number
        return entries_of([block], _picture, number_of, f"{where}.labels")


def _picture(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # As of files in grey: a recipe says by `[input] color` what a network takes.
    pixels = row if row.ndim == 3 else row[:, :, None]
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def read_idx(path: Path, axes: tuple[int, ...], where: str) -> NDArray[np.uint8]:
    """The array of an IDX file of unsigned bytes.

    Args:
        path: of the file, which may be compressed by gzip.
        axes: how many there may be.
        where: the path of the key in the recipe, for messages.

    Raises:
        DataError: it cannot be read, is not whole, or has something else in it.

    Source: "THE IDX FILE FORMAT" on the page of the MNIST database: two zeros, the type (0x08:
        unsigned byte), the number of axes, the length of each in four bytes, the greatest first;
        then the values, those of the last axis beside each other.
    """
    try:
        with open_regular(path) as raw:
            start = raw.read(2)
            raw.seek(0)
            if start != _GZIP:
                return _array(raw, axes, f"{where}: {path}")
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _array(cast(BinaryIO, unpacked), axes, f"{where}: {path}")
    except StorageError as error:
        raise DataError(f"{where}: {error}") from error
    except (EOFError, OSError, zlib.error) as error:
        rule = "must be a whole file of gzip"
        raise DataError(
            f"{where}: {path}: {rule}, got one that fails with {str(error)!r}"
        ) from error


def _array(stream: BinaryIO, axes: tuple[int, ...], what: str) -> NDArray[np.uint8]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != _UINT8:
        rule = "must be an IDX file of unsigned bytes"
        raise DataError(f"{what}: {rule}, got one that starts with {magic!r}")
    if magic[3] not in axes:
        rule = f"must have {' or '.join(map(str, axes))} axes"
        raise DataError(f"{what}: {rule}, got {magic[3]}")
    shape = np.frombuffer(_exactly(stream, 4 * magic[3], what), ">u4").tolist()
    if not 0 < prod(shape) <= _MOST_BYTES:
        rule = f"must have 1 to {_MOST_BYTES} values"
        raise DataError(f"{what}: {rule}, got {prod(shape)} by its axes {shape!r}")
    values = _exactly(stream, prod(shape), what)
    if stream.read(1):
        raise DataError(f"{what}: must end after the {prod(shape)} values of {shape!r}, got more")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _exactly(stream: BinaryIO, size: int, what: str) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        rule = f"must have {size} bytes more"
        raise DataError(f"{what}: {rule}, got {len(content)}; the file is cut short")
    return content
