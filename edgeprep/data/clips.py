"""Films, and directories of numbered pictures: each of them is one sample, a clip."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep.data.entry import Entry, always
from edgeprep.data.file_reader import LabelledReader
from edgeprep.data.picture_files import check_directory, is_picture
from edgeprep.data.reader import need_truth
from edgeprep.errors import DataError, InputError
from edgeprep.films import FilmFrame, check_av, is_film, open_film
from edgeprep.interfaces import Task
from edgeprep.pictures import read_picture
from edgeprep.tensors import LONGEST_CLIP

__all__ = ["FrameFolder", "Video"]

Picture = NDArray[np.uint8]
# Of a time in seconds: films round them to a clock of their own, seldom coarser than a millisecond.
_CLOCK_S = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipReader(LabelledReader):
    """Clips, where each class has a directory of its name.

    Attributes:
        frames: how many each has, the first ones; a clip with fewer is left out. Absent: all, at
            most 1024.
        every: each so-manieth frame is taken.
    """

    frames: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_CLIP)] | None = None
    every: Annotated[int, msgspec.Meta(ge=1)] = 1

    def entries(self, *, directory: Path, where: str, task: Task | None) -> Sequence[Entry]:
        """The clips below `path`.

        Raises:
            DataError: there is no such directory, no clip in it, or its classes are not those of
                the task.
        """
        root = directory / self.path
        here = f"{where}.path"
        check_directory(root, here)
        self.check()
        paths = sorted(self.found(root))
        if not paths:
            raise DataError(f"{here}: must have {self.what}, got none in {str(root)!r}")
        kinds = {path: _kind(path, root) for path in paths}
        numbers: dict[str | None, int | None] = {}
        if task is not None:
            need_truth(task, ("class",), self.name, where)
            numbers = self._numbers(task, kinds, where)
        return [
            Entry(
                name=path.relative_to(root).as_posix(),
                picture=partial(self.read, path),
                truth=always(numbers.get(kind)),
                kind=kind,
                meant=kind is None or task is None or numbers[kind] is not None,
            )
            for path, kind in kinds.items()
        ]

    # What a clip is called in messages.
    what: ClassVar[str]

    @abstractmethod
    def found(self, root: Path) -> Iterable[Path]:
        """The clips below `root`, in any order."""

    @abstractmethod
    def read(self, path: Path) -> NDArray[np.uint8]:
        """The clip at `path`, `(frames, H, W, 3)`.

        Raises:
            InputError: it cannot be read, or is too short.
            StorageError: likewise.
        """

    def check(self) -> None:
        """Raise where clips cannot be read on this machine."""

    def chosen(self, pictures: Iterable[Picture], path: Path) -> NDArray[np.uint8]:
        """Those frames that are meant, as one clip."""
        taken: list[Picture] = []
        for index, picture in enumerate(pictures):
            if index % self.every:
                continue
            if taken and picture.shape != taken[0].shape:
                rule = f"frame {index} must have the size of the first, {taken[0].shape[:2]}"
                raise InputError(f"{path.name}: {rule}, got {picture.shape[:2]}")
            taken.append(picture)
            if len(taken) == self.frames:
                break
            if len(taken) > LONGEST_CLIP:
                remedy = "set frames, or every"
                rule = f"must be at most {LONGEST_CLIP} frames long"
                raise InputError(f"{path.name}: {rule}, got more; {remedy}")
        if len(taken) < (self.frames or 1):
            rate = f", each {self.every}th taken" if self.every > 1 else ""
            rule = f"must have {self.frames or 1} frames{rate}"
            raise InputError(f"{path.name}: {rule}, got {len(taken)}")
        return np.stack(taken)

    def _numbers(
        self, task: Task, kinds: dict[Path, str | None], where: str
    ) -> dict[str | None, int | None]:
        loose = next((path for path, kind in kinds.items() if kind is None), None)
        if loose is not None:
            rule = "must have one directory for each class"
            raise DataError(f"{where}.path: {rule}, got {loose.name!r} beside them")
        class_map = self.class_map(task, where)
        here = f"{where}.path: class directory"
        return {kind: class_map.of_name(kind, here) for kind in set(kinds.values()) if kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Video(ClipReader):
    """Film files below `path`, by PyAV; each is a clip.

    Where they lie in sub-directories, each of these is a class of that name. A film that ends
    early, changes its size or cannot be decoded is left out and counted.

    Attributes:
        fps: how many frames of a second are taken; absent: all, of which `every` takes some.
    """

    name: ClassVar[str] = "video"
    what: ClassVar[str] = "films"

    fps: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None

    def __post_init__(self) -> None:
        # NOTE: dataclasses with slots lose `super()` without arguments.
        LabelledReader.__post_init__(self)
        if self.fps is not None and self.every > 1:
            raise ValueError(f"every: must be absent where fps is given, got {self.every!r}")

    def check(self) -> None:
        """Raise BackendUnavailable where PyAV is not installed."""
        check_av()

    def found(self, root: Path) -> Iterable[Path]:
        """The film files."""
        return (path for path in root.rglob("*") if is_film(path) and not _is_hidden(path, root))

    def read(self, path: Path) -> NDArray[np.uint8]:
        """See `ClipReader.read`."""
        with open_film(path) as film:
            return self.chosen(self._timed(film), path)

    def _timed(self, film: Iterable[FilmFrame]) -> Iterator[Picture]:
        taken = 0
        for frame in film:
            # The first frame that is shown at the time of the next one, or after it.
            if self.fps is None or frame.time_s + _CLOCK_S >= taken / self.fps:
                taken += 1
                yield frame.picture


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFolder(ClipReader):
    """Directories of pictures below `path`; each is a clip, in the order of the numbers in names.

    A directory that holds clips is a class of that name. A clip with a picture that cannot be read
    or has another size is left out and counted.
    """

    name: ClassVar[str] = "frame-folder"
    what: ClassVar[str] = "directories of pictures"

    def found(self, root: Path) -> Iterable[Path]:
        """The directories that hold pictures."""
        pictures = (path for path in root.rglob("*") if is_picture(path, root))
        return {path.parent for path in pictures} - {root}

    def read(self, path: Path) -> NDArray[np.uint8]:
        """See `ClipReader.read`."""
        files = sorted((each for each in path.iterdir() if is_picture(each, path)), key=_by_number)
        return self.chosen(map(read_picture, files), path)


def _kind(path: Path, root: Path) -> str | None:
    """The class of a clip: the first directory that it lies in."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else None


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part[0] == "." for part in path.relative_to(root).parts)


def _by_number(path: Path) -> list[tuple[bool, int, str]]:
    """So that "frame-9" comes before "frame-10"."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
