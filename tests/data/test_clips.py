"""Films and directories of pictures as clips."""

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edgeprep.data import Samples, build_reader
from edgeprep.data.clips import Video, _by_number
from edgeprep.errors import DataError, RecipeError
from edgeprep.films import FilmFrame
from edgeprep.tasks.video_classify import VideoClassify

TASK = VideoClassify(labels=("down", "up"))


def film(path: Path, levels: list[int], *, side: int = 32, fps: int = 10) -> None:
    """By PyAV alone, lossless: frame after frame grey, of those levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=fps)
        stream.height = stream.width = side
        stream.pix_fmt = "rgb24"
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), level, np.uint8), "rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def folder(path: Path, levels: list[int], *, side: int = 4) -> None:
    path.mkdir(parents=True)
    for index, level in enumerate(levels, 8):
        Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(path / f"f{index}.png")


WRITERS: dict[str, Callable[..., None]] = {"video": film, "frame-folder": folder}
ENDING = {"video": ".avi", "frame-folder": ""}


def opened(directory: Path, use: str, task: VideoClassify | None = TASK, **keys: object) -> Samples:
    reader = build_reader({"use": use, "path": ".", **keys}, "data.evaluation")
    return reader.open(directory=directory, where="data.evaluation", task=task)


def levels(samples: Samples) -> list[list[int]]:
    return [clip[:, 0, 0, 0].tolist() for clip, _ in samples]


@pytest.fixture(params=list(WRITERS))
def use(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Two films that grow brighter, and one that grows darker."""
    kind: str = request.param
    write, ending = WRITERS[kind], ENDING[kind]
    # Numbers of two digits: in the order of letters, the tenth frame would come first.
    write(tmp_path / "up" / f"a{ending}", [10, 20, 30, 40, 50])
    write(tmp_path / "up" / f"b{ending}", [100, 110, 120])
    write(tmp_path / "down" / f"c{ending}", [90, 80, 70, 60])
    return kind


def test_each_clip_has_the_class_of_its_directory(use: str, tmp_path: Path) -> None:
    samples = list(opened(tmp_path, use))
    assert [label for _, label in samples] == [0, 1, 1]
    assert [clip.dtype for clip, _ in samples] == [np.uint8] * 3
    assert levels(opened(tmp_path, use)) == [
        [90, 80, 70, 60],
        [10, 20, 30, 40, 50],
        [100, 110, 120],
    ]


def test_some_frames_are_taken(use: str, tmp_path: Path) -> None:
    assert levels(opened(tmp_path, use, frames=2, every=2)) == [[90, 70], [10, 30], [100, 120]]


def test_a_clip_that_is_too_short_is_left_out_and_named(use: str, tmp_path: Path) -> None:
    for index in range(40):  # one of ten may be left out
        WRITERS[use](tmp_path / "up" / f"d{index}{ENDING[use]}", [1, 2, 3, 4])
    samples = opened(tmp_path, use, frames=4)
    assert len(list(samples)) == 42
    name = f"b{ENDING[use]}"
    assert [(one.name, one.reason) for one in samples.skipped] == [
        (f"up/{name}", f"{name}: must have 4 frames, got 3")
    ]


def test_a_directory_that_is_no_label_is_an_error(use: str, tmp_path: Path) -> None:
    task = VideoClassify(labels=("down", "sideways"))
    message = "data.evaluation.path: class directory"
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        opened(tmp_path, use, task)


def test_without_a_task_clips_have_no_label(use: str, tmp_path: Path) -> None:
    assert [label for _, label in opened(tmp_path, use, None)] == [None] * 3


def test_clips_beside_class_directories_are_an_error(use: str, tmp_path: Path) -> None:
    name = f"loose{ENDING[use]}"
    WRITERS[use](tmp_path / name, [1, 2])
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        opened(tmp_path, use)
    assert str(caught.value) == (
        f"data.evaluation.path: must have one directory for each class, got {name!r} beside them"
    )


def test_a_clip_of_any_length_is_whole_and_holds_little_more(use: str, tmp_path: Path) -> None:
    samples = opened(tmp_path, use)
    held = [clip.nbytes if clip.base is None else clip.base.nbytes for clip, _ in samples]
    assert held == [clip.nbytes for clip, _ in samples]
    for directory in ("up", "down"):
        path = tmp_path / directory / f"long{ENDING[use]}"
        WRITERS[use](path, [*range(150)])
    long = [clip for clip, _ in opened(tmp_path, use) if len(clip) > 5]
    assert [clip[:, 0, 0, 0].tolist() for clip in long] == [[*range(150)]] * 2
    assert [clip.base.shape[0] for clip in long if clip.base is not None] == [256, 256]


@pytest.mark.parametrize(
    ("use", "what"), [("video", "films"), ("frame-folder", "directories of pictures")]
)
def test_there_must_be_clips(use: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:  # noqa: PT011 -- whole message
        opened(tmp_path, use)
    assert str(caught.value) == (
        f"data.evaluation.path: must have {what}, got none in {str(tmp_path)!r}"
    )


def test_frames_of_a_film_are_taken_by_their_time(tmp_path: Path) -> None:
    film(tmp_path / "a.avi", [10, 20, 30, 40, 50, 60, 70], fps=30)
    assert levels(opened(tmp_path, "video", None, fps=10)) == [[10, 40, 70]]


def test_a_film_that_ends_early_is_left_out(tmp_path: Path) -> None:
    for index in range(12):
        film(tmp_path / f"{index:02}.avi", list(range(20, 60)))
    broken = tmp_path / "05.avi"
    broken.write_bytes(broken.read_bytes()[:-2500])
    samples = opened(tmp_path, "video", None)
    assert len(list(samples)) == 11
    assert [one.name for one in samples.skipped] == ["05.avi"]
    assert "got an end after" in samples.skipped[0].reason


def test_a_folder_whose_pictures_change_size_is_left_out(tmp_path: Path) -> None:
    for index in range(12):
        folder(tmp_path / f"{index:02}", [1, 2, 3])
    Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(tmp_path / "07" / "f9.png")
    samples = opened(tmp_path, "frame-folder", None)
    assert len(list(samples)) == 11
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("07", "07: frame 1 must have the size of the first, (4, 4), got (5, 4)")
    ]


def test_a_rate_and_a_stride_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        opened(tmp_path, "video", fps=5, every=2)
    assert str(caught.value) == ("data.evaluation.every: must be absent where fps is given, got 2")


def timed(times: list[float], fps: float) -> list[float]:
    reader = Video(path=".", fps=fps)
    frames = [FilmFrame(index, time, np.array([index])) for index, time in enumerate(times)]
    return [times[int(picture[0])] for picture in reader._timed(frames)]


def test_what_a_gap_skips_is_not_made_up_for() -> None:
    after = [2 + index / 30 for index in range(31)]
    assert timed([0, 0.2, *after], 5) == pytest.approx([0, 0.2, 2, 2.2, 2.4, 2.6, 2.8, 3])


def test_a_film_with_fewer_frames_than_are_asked_for_is_left_out(tmp_path: Path) -> None:
    film(tmp_path / "up" / "slow.avi", [10] * 8, fps=10)
    for index in range(10):
        film(tmp_path / "up" / f"{index}.avi", [10] * 8, fps=26)
    samples = opened(tmp_path, "video", None, fps=25)
    assert len(list(samples)) == 10
    assert [one.reason for one in samples.skipped] == [
        "slow.avi: must have 25 frames in a second, got 10"
    ]


def test_a_film_that_is_broken_where_it_is_read_is_left_out(tmp_path: Path) -> None:
    for index in range(11):
        film(tmp_path / "up" / f"{index}.avi", [4 * frame for frame in range(20)])
    path = tmp_path / "up" / "3.avi"
    parts = path.read_bytes().split(b"IDAT")
    for number in (4, 5, 6):
        parts[number] = b"BAD!" * 8 + parts[number][32:]
    path.write_bytes(b"IDAT".join(parts))
    samples = opened(tmp_path, "video", None, frames=8)
    assert len(list(samples)) == 10
    assert [one.reason for one in samples.skipped] == [
        "3.avi: all of it must be frames that can be decoded, got 3 parts that cannot"
    ]


def test_a_clip_has_to_fit_into_memory(
    use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip, _), *_ = opened(tmp_path, use)
    # Three frames fit, and a is longer; so is c.
    monkeypatch.setattr("edgeprep.data.clips._MOST_BYTES", 3 * clip[0].nbytes)
    message = (
        r"^data\.evaluation: at most 10% and 100 pictures may be unreadable, got 2 of 3; the first "
        rf"is '.*c.*': c{re.escape(ENDING[use])}: must be at most 3 frames of {clip[0].nbytes} "
        r"bytes long, got more; set frames, or every$"
    )
    with pytest.raises(DataError, match=message):
        list(opened(tmp_path, use))
    message = rf"must have 4 frames of at most {3 * clip[0].nbytes} bytes together, got "
    with pytest.raises(DataError, match=message):
        list(opened(tmp_path, use, frames=4))


def test_digits_that_are_no_numbers_are_letters(tmp_path: Path) -> None:
    for number in ("1²2", "1" * 5000):
        assert _by_number(Path(f"{number}.png"))
