"""Picture files in a directory, or in one directory for each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgeprep.data.class_map import ClassMap
from edgeprep.data.entry import Entry, always
from edgeprep.data.file_reader import LabelledReader
from edgeprep.data.picture_files import check_directory, files_below, is_picture, reading
from edgeprep.data.reader import need_truth
from edgeprep.errors import DataError
from edgeprep.interfaces import Task

__all__ = ["ImageFolder"]

Classes = dict[str | None, list[Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder(LabelledReader):
    """Picture files below `path`, in RGB.

    Where `path` has sub-directories, each is a class of that name. Hidden files and files that are
    no pictures by their extension (in any case) are left alone.
    """

    name: ClassVar[str] = "image-folder"

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The pictures below `path`.

        Raises:
            DataError: there is no such directory, no picture in it or in one of its classes, or
                its classes are not those of the task.
        """
        root = directory / self.path
        classes = _classes(root, f"{where}.path")
        numbers: dict[str | None, int | None] = {
            name: None if name is None else index for index, name in enumerate(classes)
        }
        if task is not None:
            need_truth(task, ("class",), self.name, where)
            numbers = _numbers(self.class_map(task, where), classes, f"{where}.path")
        return [
            Entry(
                name=path.relative_to(root).as_posix(),
                picture=reading(path),
                truth=always(number),
                kind=name,
                meant=name is None or number is not None,
            )
            for name, number in numbers.items()
            for path in classes[name]
        ]


def _classes(root: Path, where: str) -> Classes:
    """The picture files of each class, by its name; of a flat directory, under None."""
    check_directory(root, where)
    loose = sorted(path for path in root.iterdir() if is_picture(path, root))
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
    classes: Classes = {}
    known: dict[Path, str] = {}
    for directory in directories:
        # Links: one picture must not have two classes, nor be on both sides of a split.
        other = known.setdefault(directory.resolve(), directory.name)
        if other != directory.name:
            rule = "class directories must differ"
            raise DataError(
                f"{where}: {rule}, got {directory.name!r}, which is the same as {other!r}"
            )
        paths = [path for path in files_below(directory) if is_picture(path, directory)]
        if not paths:
            rule = "every class directory must have pictures"
            raise DataError(f"{where}: {rule}, got none in {directory.name!r}")
        classes[directory.name] = paths
    return classes


def _numbers(class_map: ClassMap, classes: Classes, where: str) -> dict[str | None, int | None]:
    """The number of each class, the first label's first; None of those that are ignored."""
    if None in classes:
        got = f"{len(classes[None])} pictures without"
        raise DataError(f"{where}: must have one directory for each class, got {got}")
    found = {name: class_map.of_name(name, f"{where}: class directory") for name in classes if name}
    for index, label in enumerate(class_map.labels):
        if index not in found.values():
            raise DataError(
                f"{where}: must have a directory for each of the {len(class_map.labels)} labels,"
                f" got {len(classes)}; there is none for {label!r}"
            )
    return dict(sorted(found.items(), key=_ignored_last))


def _ignored_last(item: tuple[str | None, int | None]) -> tuple[bool, int]:
    return item[1] is None, item[1] or 0
