"""CIFAR-10 and CIFAR-100, in the binary version and in that for Python."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edgeprep.data.arrays import Block, entries_of
from edgeprep.data.class_map import ClassMap, warn_of_twice
from edgeprep.data.entry import Entry
from edgeprep.data.file_reader import LabelledReader
from edgeprep.data.picture_files import check_directory
from edgeprep.data.plain_pickle import read_plain_pickle
from edgeprep.data.text import read_bytes, read_lines
from edgeprep.errors import DataError
from edgeprep.interfaces import Task
from edgeprep.schema import show
from edgeprep.truths import TruthKind

__all__ = ["Cifar"]

_VALUES = 3 * 32 * 32
_MOST_LABEL = 2**63 - 1
Level = Literal["fine", "coarse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What one of the published archives has in it.

    Attributes:
        files: of the pictures, by part.
        labels: how many bytes before each picture are classes, or the keys of the classes in a
            dictionary; by level where there are two.
        names: where the names of the classes are: a file, and a key in it where it is one of
            Python's.
    """

    files: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, int | str]
    names: Mapping[str, tuple[str, str]]
    label_bytes: int = 0


# Source: the page of the data sets, https://www.cs.toronto.edu/~kriz/cifar.html
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_LAYOUTS = (
    _Layout(
        files={
            "training": tuple(f"{name}.bin" for name in _BATCHES),
            "test": ("test_batch.bin",),
        },
        label_bytes=1,
        labels={"fine": 0},
        names={"fine": ("batches.meta.txt", "")},
    ),
    _Layout(
        files={"training": ("train.bin",), "test": ("test.bin",)},
        label_bytes=2,
        labels={"coarse": 0, "fine": 1},
        names={"coarse": ("coarse_label_names.txt", ""), "fine": ("fine_label_names.txt", "")},
    ),
    _Layout(
        files={"training": _BATCHES, "test": ("test_batch",)},
        labels={"fine": "labels"},
        names={"fine": ("batches.meta", "label_names")},
    ),
    _Layout(
        files={"training": ("train",), "test": ("test",)},
        labels={"coarse": "coarse_labels", "fine": "fine_labels"},
        names={"coarse": ("meta", "coarse_label_names"), "fine": ("meta", "fine_label_names")},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cifar(LabelledReader):
    """The 32 × 32 colour pictures of an unpacked archive of CIFAR-10 or CIFAR-100.

    `path` is the directory with the batches, of the binary version or of that for Python, whose
    pickles are read without executing them. Classes go by their names where the archive's list of
    names is there, else by their numbers.

    Attributes:
        part: "training" or "test", as the data set is published.
        level: which of the two classes of a picture of CIFAR-100.
    """

    name: ClassVar[str] = "cifar"
    truths: ClassVar[tuple[TruthKind, ...]] = ("class",)

    part: Literal["training", "test"]
    level: Level = "fine"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures of the part.

        Raises:
            DataError: there are no such files, one is not whole, or has a class without a label.
        """
        root = directory / self.path
        check_directory(root, f"{where}.path")
        layout, files = self._found(root, where)
        blocks = [_read_block(path, layout, self.level, f"{where}.path") for path in files]
        number_of = None
        if task is not None:
            names = _names(root, layout, self.level, f"{where}.path")
            warn_of_twice(names, f"{where}.path: {layout.names[self.level][0]}")
            number_of = partial(_number_of, self.class_map(task, where), names)
        return entries_of(blocks, _picture, number_of, f"{where}.path")

    def _found(self, root: Path, where: str) -> tuple[_Layout, list[Path]]:
        for layout in _LAYOUTS:
            # Some people keep a few of the batches only.
            files = [root / name for name in layout.files[self.part] if (root / name).exists()]
            if files:
                if self.level not in layout.labels:
                    rule = "must be 'fine' for CIFAR-10, which has one class a picture"
                    raise DataError(f"{where}.level: {rule}, got {self.level!r}")
                missing = [name for name in layout.files[self.part] if not (root / name).exists()]
                if missing:
                    message = "%s.path: %d of %d files of the part are there; there is no %s"
                    of = len(files) + len(missing)
                    names = ", ".join(map(repr, missing))
                    logging.getLogger("edgeprep").warning(message, where, len(files), of, names)
                return layout, files
        wanted = ", ".join(repr(layout.files[self.part][0]) for layout in _LAYOUTS)
        raise DataError(f"{where}.path: must have one of {wanted}, got none in {str(root)!r}")


def _number_of(class_map: ClassMap, names: Sequence[str], number: int, place: str) -> int | None:
    if not names:
        return class_map.of_number(number, place)
    if number >= len(names):
        rule = f"must be in 0..{len(names) - 1}"
        raise DataError(f"{place} {rule}, got {number}; the data name {len(names)} classes")
    return class_map.of_name(names[number], place)


def _picture(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return row.reshape(3, 32, 32).transpose(1, 2, 0)


def _read_block(path: Path, layout: _Layout, level: Level, where: str) -> Block:
    content = read_bytes(path, where)
    label = layout.labels[level]
    # Whichever class is asked for, the sides of a split are the same.
    kind = layout.labels["fine"]
    if isinstance(label, str):
        batch = _dictionary(content, path, where)
        kinds = _of_python(path, batch, str(kind), where).labels
        return replace(_of_python(path, batch, label, where), kinds=kinds)
    size = layout.label_bytes + _VALUES
    if not content or len(content) % size:
        rule = f"must have {size} bytes for each picture"
        raise DataError(f"{where}: {path}: {rule}, got {len(content)}; the file is cut short")
    rows = np.frombuffer(content, np.uint8).reshape(-1, size)
    pictures, labels = rows[:, layout.label_bytes :], rows[:, label]
    return Block(name=path.name, pictures=pictures, labels=labels, kinds=rows[:, int(kind)])


def _of_python(path: Path, batch: Mapping[str, Any], label: str, where: str) -> Block:
    pictures, labels = batch.get("data"), batch.get(label)
    fits = isinstance(pictures, np.ndarray) and pictures.shape[1:] == (_VALUES,)
    if not fits or pictures is None:
        got = getattr(pictures, "shape", type(pictures))
        rule = f"must have an array (pictures, {_VALUES}) as 'data'"
        raise DataError(f"{where}: {path}: {rule}, got {got}")
    rule = f"{where}: {path}: must have {len(pictures)} whole numbers as {label!r}"
    if not isinstance(labels, list):
        raise DataError(f"{rule}, got {type(labels)}")
    wrong = [one for one in labels if type(one) is not int or abs(one) > _MOST_LABEL]
    if wrong or len(labels) != len(pictures):
        raise DataError(f"{rule}, got {show(wrong[0]) if wrong else len(labels)}")
    return Block(name=path.name, pictures=pictures, labels=np.asarray(labels, np.int64))


def _dictionary(content: bytes, path: Path, where: str) -> Mapping[str, Any]:
    try:
        value = read_plain_pickle(content)
    except ValueError as error:
        remedy = "the binary version of the data set serves as well"
        raise DataError(f"{where}: {path}: {error}; {remedy}") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: {path}: must be a dictionary, got {type(value)}")
    return {_text(key): item for key, item in value.items()}


def _names(root: Path, layout: _Layout, level: Level, where: str) -> Sequence[str]:
    """The names of the classes by their numbers; () where the archive's list is not there."""
    file, key = layout.names[level]
    path = root / file
    if not path.exists():
        return ()
    if not key:
        return [line.strip() for _, line in read_lines(path, where) if line.strip()]
    names = _dictionary(read_bytes(path, where), path, where).get(key)
    if not isinstance(names, list):
        raise DataError(f"{where}: {path}: must have a list as {key!r}, got {type(names)}")
    return [_text(name) for name in names]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
