"""What `edgeprep run` prints: one class for each format."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from edgeprep.cli.output import as_json, complain, emit, one_line
from edgeprep.runtime.explain import format_table

__all__ = ["Answers", "FilmDone", "JsonAnswers", "LineAnswers", "Place", "TextAnswers"]


class Place(Struct, frozen=True):
    """What a result is of.

    Attributes:
        picture: the path of a picture or film, or the name of a live source.
        frame: the number of the frame, from 0; None: it is a picture.
        time_s: when the frame is shown, in seconds after the first.
    """

    picture: str
    frame: int | None = None
    time_s: float | None = None

    def to_json(self) -> dict[str, object]:
        """The keys that come before those of a result."""
        if self.frame is None:
            return {"picture": self.picture}
        return {"picture": self.picture, "frame": self.frame, "time_s": self.time_s}


class FilmDone(Struct, frozen=True):
    """A film, or a live source, that has come to its end.

    Attributes:
        film: its path or name.
        frames: how many were run.
        dropped: how many were not: replaced by newer ones, or left out by the preprocessing.
        seconds: how long that took.
        output: where its drawn copy is.
    """

    film: str
    frames: int
    dropped: int
    seconds: float
    output: str | None = None

    def __str__(self) -> str:
        pace = self.frames / self.seconds if self.seconds else 0.0
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        goes = f"; drawn into {self.output}" if self.output else ""
        return f"{self.frames} frames in {self.seconds:.1f} s, {pace:.1f} frames/s{dropped}{goes}"

    def to_json(self) -> dict[str, object]:
        """What the document of `--format json` says."""
        return {key: getattr(self, key) for key in self.__struct_fields__}


class Answers(ABC):
    """Takes results as they come."""

    def __init__(self) -> None:
        self.failed: list[dict[str, str]] = []

    @abstractmethod
    def result(self, place: Place, result: Any) -> None:
        """A result came."""

    def fault(self, path: str, error: Exception) -> None:
        """A picture or film could not be run, or not to its end."""
        complain(error)
        self.failed.append({"picture": path, "error": str(error)})

    def film(self, done: FilmDone) -> None:  # noqa: B027 -- most formats have nothing to say
        """A film came to its end."""

    def end(self, choice: Mapping[str, object]) -> None:  # noqa: B027 -- as above
        """No more will come.

        Args:
            choice: the candidate that answered, as JSON has it.
        """


class TextAnswers(Answers):
    """For people: a table of pictures; a line for each frame where nothing is drawn."""

    def __init__(self, *, frames: bool) -> None:
        super().__init__()
        self._frames = frames
        self._rows: list[tuple[str, str]] = []

    def result(self, place: Place, result: Any) -> None:
        """A row or a line."""
        if place.frame is None:
            self._rows.append((one_line(place.picture), str(result)))
        elif self._frames:
            when = f"frame {place.frame}, {place.time_s:.2f} s"
            emit(f"{one_line(place.picture)}  {when}  {result}", {}, "text")

    def film(self, done: FilmDone) -> None:
        """How many frames there were, and how fast."""
        emit(f"{one_line(done.film)}  {done}", {}, "text")

    def end(self, choice: Mapping[str, object]) -> None:
        """The table."""
        if self._rows:
            emit(format_table(("picture", "result"), self._rows), {}, "text")


class JsonAnswers(Answers):
    """One document of everything."""

    def __init__(self) -> None:
        super().__init__()
        self._results: list[dict[str, object]] = []
        self._films: list[dict[str, object]] = []

    def result(self, place: Place, result: Any) -> None:
        """Kept until the end."""
        self._results.append({**place.to_json(), **result.to_json()})

    def film(self, done: FilmDone) -> None:
        """Likewise."""
        self._films.append(done.to_json())

    def end(self, choice: Mapping[str, object]) -> None:
        """The document."""
        document = {
            "choice": choice,
            "results": self._results,
            "films": self._films,
            "failed": self.failed,
        }
        emit("", document, "json")


class LineAnswers(Answers):
    """A JSON document for each result, in a line of its own, as soon as it is there."""

    def result(self, place: Place, result: Any) -> None:
        """A line."""
        emit(line_of(place, result), {}, "text")


def line_of(place: Place, result: Any) -> str:
    """A result as one line of JSON."""
    document = {"schema_version": 1, **place.to_json(), **result.to_json()}
    return json.dumps(as_json(document), allow_nan=False)
