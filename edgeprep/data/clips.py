"""Films, and directories of numbered pictures: each of them is one sample, a clip."""

import math
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
from edgeprep.data.picture_files import check_directory, files_below, is_picture
from edgeprep.data.reader import need_truth
from edgeprep.errors import DataError, InputError
from edgeprep.films import FilmFrame, check_av, is_film, open_film
from edgeprep.interfaces import Task
from edgeprep.pictures import read_picture
from edgeprep.tensors import LONGEST_CLIP

__all__ = ["FrameFolder", "Video"]

Picture = NDArray[np.uint8]
# So many frames have room at first.
_FIRST = 64
# Of a time in seconds: films round them to a clock of their own, seldom coarser than a millisecond.
_CLOCK_S = 2e-3
# A clip is in memory as a whole.
_MOST_BYTES = 1 << 31
# Films of 29.97 frames a second are said to have 30.
_NEARLY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipReader(LabelledReader):
    """Clips, where each class has a directory of its name.

    Attributes:
        frames: how many each has, the first ones; a clip with fewer is left out. Absent: all, at
            most 1024 and 2 GiB.
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
        clip: Picture | None = None
        count, most = 0, 0
        for index, picture in enumerate(pictures):
            if index % self.every:
                continue
            if clip is None:
                most = self._most(picture, path)
                clip = np.empty((self.frames or min(_FIRST, most), *picture.shape), np.uint8)
            if picture.shape != clip.shape[1:]:
                rule = f"frame {index} must have the size of the first, {clip.shape[1:3]}"
                raise InputError(f"{path.name}: {rule}, got {picture.shape[:2]}")
            if count == most:
                of = "" if count == LONGEST_CLIP else f" of {clip[0].nbytes} bytes"
                rule = f"must be at most {count} frames{of} long"
                raise InputError(f"{path.name}: {rule}, got more; set frames, or every")
            if count == len(clip):
                clip = np.concatenate([clip, np.empty_like(clip[: most - count])])
            clip[count] = picture
            count += 1
            if count == self.frames:
                break
        if clip is None or count < (self.frames or 1):
            rate = f", each {self.every}th taken" if self.every > 1 else ""
            rule = f"must have {self.frames or 1} frames{rate}"
            raise InputError(f"{path.name}: {rule}, got {count}")
        # What a view does not show of an array is held with it.
        return clip[:count] if 2 * count >= len(clip) else clip[:count].copy()

    def _most(self, picture: Picture, path: Path) -> int:
        """How many such pictures a clip may have."""
        most = max(_MOST_BYTES // picture.nbytes, 1)
        if self.frames is not None and self.frames > most:
            rule = f"must have {self.frames} frames of at most {_MOST_BYTES} bytes together"
            raise InputError(f"{path.name}: {rule}, got {self.frames * picture.nbytes}")
        return min(self.frames or LONGEST_CLIP, most)

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
        return (path for path in files_below(root) if is_film(path))

    def read(self, path: Path) -> NDArray[np.uint8]:
        """See `ClipReader.read`."""
        with open_film(path) as film:
            if self.fps is not None and film.fps is not None and film.fps < _NEARLY * self.fps:
                rule = f"must have {self.fps:g} frames in a second"
                raise InputError(f"{path.name}: {rule}, got {float(film.fps):g}")
            clip = self.chosen(self._timed(film), path)
            if film.broken:
                # Its own check comes at its end, which nobody may have reached.
                rule = "all of it must be frames that can be decoded"
                raise InputError(f"{path.name}: {rule}, got {film.broken} parts that cannot")
            return clip

    def _timed(self, film: Iterable[FilmFrame]) -> Iterator[Picture]:
        due = 0
        for frame in film:
            if self.fps is None:
                yield frame.picture
                continue
            # The first frame that is shown at the time of the next one, or after it. What a gap
            # skips is not made up for, as by the stage `frames`.
            passed = math.floor((frame.time_s + _CLOCK_S) * self.fps)
            if passed >= due:
                due = passed + 1
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
        pictures = (path for path in files_below(root) if is_picture(path, root))
        return {path.parent for path in pictures} - {root}

    def read(self, path: Path) -> NDArray[np.uint8]:
        """See `ClipReader.read`."""
        files = sorted((each for each in path.iterdir() if is_picture(each, path)), key=_by_number)
        return self.chosen(map(read_picture, files), path)


def _kind(path: Path, root: Path) -> str | None:
    """The class of a clip: the first directory that it lies in."""
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else None


def _by_number(path: Path) -> list[tuple[bool, int, str]]:
    """So that "frame-9" comes before "frame-10"."""
    parts = re.split(r"(\d{1,18})", path.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
