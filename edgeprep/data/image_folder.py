"""Picture files in a directory, or in one directory for each class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from edgeprep.data.reader import Reader, labels_of, need_truth
from edgeprep.data.samples import Sample, Samples, Skipped
from edgeprep.errors import DataError, InputError, StorageError
from edgeprep.interfaces import Task
from edgeprep.pictures import read_picture
from edgeprep.schema import nearest

__all__ = ["ImageFolder"]

# Which files are meant; what is in them is found out by reading.
EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)

File = tuple[Path, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder(Reader):
    """Picture files below `path`, in RGB.

    Where `path` has sub-directories, each is a class of that name. Hidden files and files that are
    no pictures by their extension (in any case) are left alone.

    Attributes:
        path: the directory, relative to the recipe's.
        limit: at most so many pictures, drawn evenly from the classes. All of them, in the order
            of their names, where it is not given.
        seed: of that draw.
    """

    name: ClassVar[str] = "image-folder"

    path: Annotated[str, msgspec.Meta(min_length=1)]
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    def open(self, *, directory: Path, where: str, task: Task | None = None) -> Samples:
        """The pictures below `path`.

        Raises:
            DataError: there is no such directory, no picture in it or in one of its classes, or
                its classes are not those of the task.
        """
        root = directory / self.path
        classes = _classes(root, f"{where}.path")
        if task is not None:
            need_truth(task, ("class",), self.name, where)
            classes = _in_order_of(labels_of(task), classes, f"{where}.path")
        groups: list[list[File]] = [
            [(path, None if name is None else index) for path in paths]
            for index, (name, paths) in enumerate(classes.items())
        ]
        files = list(chain(*groups)) if self.limit is None else _draw(groups, self.seed)
        return Samples(
            partial(_read, files, root),
            where=where,
            description=f"pictures in {self.path}",
            task=task,
            limit=self.limit,
            reread=lambda place: read_picture(files[place][0]),
        )


def _classes(root: Path, where: str) -> dict[str | None, list[Path]]:
    """The picture files of each class, by its name; of a flat directory, under None."""
    if not root.is_dir():
        raise DataError(f"{where}: must be a directory, got {str(root)!r}")
    loose = sorted(path for path in root.iterdir() if _is_picture(path, root))
    directories = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if loose and directories:
        raise DataError(
            f"{where}: must have pictures or one directory for each class, got both;"
            f" beside {directories[0].name!r} is {loose[0].name!r}"
        )
    if not loose and not directories:
        raise DataError(f"{where}: must have pictures, got none in {str(root)!r}")
    if loose:
        return {None: loose}
    classes: dict[str | None, list[Path]] = {}
    for directory in directories:
        paths = sorted(path for path in directory.rglob("*") if _is_picture(path, directory))
        if not paths:
            rule = "every class directory must have pictures"
            raise DataError(f"{where}: {rule}, got none in {directory.name!r}")
        classes[directory.name] = paths
    return classes


def _is_picture(path: Path, root: Path) -> bool:
    # Not `is_file`: a link to nothing is a picture that cannot be read, and must be counted.
    hidden = any(part[0] == "." for part in path.relative_to(root).parts)
    return path.suffix.lower() in EXTENSIONS and not hidden and not path.is_dir()


def _in_order_of(
    labels: Sequence[str], classes: dict[str | None, list[Path]], where: str
) -> dict[str | None, list[Path]]:
    """`classes`, so that the first is `labels[0]`."""
    if None in classes:
        got = f"{len(classes[None])} pictures without"
        raise DataError(f"{where}: must have one directory for each class, got {got}")
    for name in classes:
        if name is not None and name not in labels:
            remedy = nearest(name, labels) or f"; the first label is {labels[0]!r}"
            raise DataError(f"{where}: class directory {name!r} is no label of the task{remedy}")
    for label in labels:
        if label not in classes:
            raise DataError(
                f"{where}: must have a directory for each of the {len(labels)} labels,"
                f" got {len(classes)}; there is none for {label!r}"
            )
    return {label: classes[label] for label in labels}


def _draw(groups: list[list[File]], seed: int) -> list[File]:
    """All files, shuffled within their classes and taken from these in turn."""
    generator = np.random.default_rng(seed)
    shuffled = [[group[index] for index in generator.permutation(len(group))] for group in groups]
    return [file for turn in zip_longest(*shuffled) for file in turn if file is not None]


def _read(files: list[File], root: Path) -> Iterator[Sample | Skipped]:
    for path, label in files:
        try:
            yield read_picture(path), label
        except (InputError, StorageError) as error:
            yield Skipped(name=path.relative_to(root).as_posix(), reason=str(error))
