"""Films as sources: every frame of them, or at their own pace, and those that are not whole."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.errors import FilmError, StorageError
from edgeprep.runtime import Session
from edgeprep.stages.frames import Frames

Open = Callable[..., Session]
Level = Callable[[Any], float | None]

FRAMES, FPS, NEAR = 20, 20, 6


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Twenty frames in a second; frame `i` is grey of level `16 + 4 * i`."""
    return written(tmp_path / "film.mp4", "libx264")


def written(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=FPS)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for index in range(FRAMES):
            picture = np.full((48, 64, 3), 16 + 4 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("form", [str, Path], ids=["text", "path"])
def test_every_frame_has_an_answer_and_its_time(
    open_session: Open, level: Level, film: Path, form: Callable[[Path], Any]
) -> None:
    with open_session().stream(form(film)) as stream:
        answers = list(stream)
    assert stream.name == str(film)
    assert [answer.index for answer in answers] == list(range(FRAMES))
    assert [answer.time_s for answer in answers] == pytest.approx(
        [index / FPS for index in range(FRAMES)], abs=1e-3
    )
    assert [level(answer) for answer in answers] == pytest.approx(
        [16 + 4 * index for index in range(FRAMES)], abs=NEAR
    )
    assert stream.counts.dropped == 0


def test_stages_over_time_go_by_the_times_of_the_film(
    open_session: Open, level: Level, film: Path
) -> None:
    with open_session(Frames(rate=5.0)).stream(film) as stream:
        taken = [answer.index for answer in stream if level(answer) is not None]
    assert taken == [0, 4, 8, 12, 16]


def test_a_film_at_its_own_pace_lasts_as_long_as_it_is(open_session: Open, film: Path) -> None:
    began = monotonic()
    with open_session().stream(film, policy="newest") as stream:
        answers = list(stream)
    assert monotonic() - began >= (FRAMES - 1) / FPS
    assert len(answers) + stream.counts.dropped == FRAMES == stream.counts.arrived


def test_of_a_film_that_ends_early_all_that_is_there_is_answered(
    open_session: Open, tmp_path: Path
) -> None:
    path = written(tmp_path / "film.avi", "mpeg4")
    content = path.read_bytes()
    begins, ends = content.index(b"movi"), content.index(b"idx1")
    path.write_bytes(content[: (begins + ends) // 2])
    heard: list[Any] = []
    stream = open_session().stream(path)
    stream.follow(heard.append, fault=heard.append)
    assert stream.join(30)
    *answers, fault = heard
    assert 0 < len(answers) < FRAMES
    assert [answer.index for answer in answers] == list(range(len(answers)))
    assert isinstance(fault, FilmError)
    assert str(fault).startswith(f"{path}: must be 1.00 s long, as it says, got an end after ")
    # It is not tried again: a file stays as it is.
    assert stream.counts.connected == 1


def test_a_film_that_is_not_there_is_named(open_session: Open, tmp_path: Path) -> None:
    path = tmp_path / "absent.mp4"
    message = rf"^{path}: must be a file that can be read, got 'No such file or directory'$"
    with open_session().stream(path) as stream, pytest.raises(StorageError, match=message):
        next(stream)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_playlists_are_followed_where_somebody_asks_for_it(
    open_session: Open, film: Path, name: str
) -> None:
    path = film.with_name(name)
    path.write_text(f"ffconcat version 1.0\nfile '{film}'\n")
    session = open_session()
    with session.stream(path) as stream, pytest.raises(FilmError, match=rf"^{path}: must be a "):
        next(stream)
    with session.stream(path, playlists="follow") as stream:
        assert len(list(stream)) == FRAMES
