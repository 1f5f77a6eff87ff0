"""Film files: every frame, when it is shown, and what of a film that is not whole."""

import re
import shutil
import socket
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgeprep.errors import FilmError, ImageTooLarge, StorageError
from edgeprep.films import open_film

Make = Callable[..., Path]
Cut = Callable[[Path, float], Path]

# Levels of the codec and of limited-range YUV come back within this many.
NEAR = 6
FILM = "must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG), got one that fails with"


def read(path: Path) -> tuple[list[int], list[float], FilmError | None]:
    """The grey level of each frame, when it is shown, and how the film ended."""
    levels, times = [], []
    with open_film(path) as opened:
        try:
            for frame in opened:
                levels.append(round(float(frame.picture.mean())))
                times.append(frame.time_s)
        except FilmError as error:
            return levels, times, error
    return levels, times, None


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("film.mp4", "libx264"),
        ("film.mov", "mpeg4"),
        ("film.mkv", "libx264"),
        ("film.webm", "libvpx-vp9"),
        ("film.avi", "mpeg4"),
        ("film.ts", "libx264"),
        ("film.mpg", "mpeg2video"),
    ],
)
def test_every_frame_comes_at_its_time(film: Make, name: str, codec: str) -> None:
    path = film(name, codec=codec, fps=25)
    with open_film(path) as opened:
        frames = list(opened)
        assert opened.fps == Fraction(25)
        assert opened.broken == 0
    assert [frame.index for frame in frames] == list(range(20))
    for index, frame in enumerate(frames):
        assert frame.picture.shape == (48, 64, 3)
        assert frame.picture.dtype == np.uint8
        # Matroska has times in milliseconds.
        assert frame.time_s == pytest.approx(index / 25, abs=6e-4)
        assert abs(float(frame.picture.mean()) - (16 + 4 * index)) <= NEAR


def test_colours_are_red_green_and_blue_in_this_order(film: Make) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[..., 0] = 200
    picture[..., 2] = 50
    with open_film(film(pictures=[picture] * 20)) as opened:
        frame = next(iter(opened))
    # Colours are coded at half the resolution, and rounded twice.
    assert np.abs(frame.picture.astype(int) - [200, 0, 50]).max() <= 12


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes the matrix `a b c d` into the header of the track of an MP4 file, by hand."""
    content = bytearray(path.read_bytes())
    # ISO/IEC 14496-12: version 0 of the box has its matrix 40 bytes behind the name.
    start = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    rows = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4")
    content[start : start + 36] = rows.tobytes()
    path.write_bytes(content)
    return path


# What a picture with a white corner, upper left, looks like: the corner where it comes to lie.
@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), "upper left"),
        ((0, 1, -1, 0), "upper right"),  # a quarter clockwise, as of telephones held upright
        ((-1, 0, 0, -1), "lower right"),
        ((0, -1, 1, 0), "lower left"),
        ((-1, 0, 0, 1), "upper right"),  # a mirror
        ((0, 1, 1, 0), "upper left"),  # along the diagonal
    ],
)
def test_a_film_on_its_side_is_turned_upright(
    film: Make, matrix: tuple[int, int, int, int], corner: str
) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16] = 255
    with open_film(turned(film(pictures=[picture] * 20), matrix)) as opened:
        seen = next(iter(opened)).picture
    assert seen.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    vertical, horizontal = corner.split()
    rows = slice(0, 16) if vertical == "upper" else slice(-16, None)
    columns = slice(0, 16) if horizontal == "left" else slice(-16, None)
    assert seen[rows, columns].mean() > 200
    assert seen.mean() < 40


@pytest.mark.parametrize(
    ("name", "codec", "share"),
    [
        ("film.mkv", "libx264", 0.7),
        ("film.webm", "libvpx-vp9", 0.7),
        ("film.avi", "mpeg4", 0.7),
        ("film.mp4", "mpeg4", 0.7),
    ],
)
def test_of_a_film_that_ends_early_all_that_is_there_is_read(
    film: Make, cut: Cut, name: str, codec: str, share: float
) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    options = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    path = cut(film(name, codec=codec, pictures=noise, options=options), share)
    levels, times, fault = read(path)
    assert 5 <= len(levels) < 18
    assert fault is not None
    # At ten frames a second.
    assert str(fault).startswith(
        f"{path}: must be 2.00 s long, as it says, "
        f"got an end after {times[-1] + 0.1:.2f} s and {len(levels)} frames"
    )


def test_a_film_whose_size_changes_ends_there(film: Make) -> None:
    first, second = film("first.ts"), film("second.ts", size=(32, 48))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    levels, _, fault = read(first)
    assert len(levels) == 20
    assert str(fault) == (
        f"{first}: frame 20 must have the size of those before it, 64×48, got 48×32"
    )


def test_what_cannot_be_decoded_is_left_out_and_counted(film: Make) -> None:
    path = film("film.avi", codec="png")
    parts = path.read_bytes().split(b"IDAT")
    assert len(parts) == 21
    # The pixels of the sixth picture.
    parts[6] = b"BAD!" * 8 + parts[6][32:]
    path.write_bytes(b"IDAT".join(parts))
    levels, _, fault = read(path)
    assert levels == [16 + 4 * index for index in range(20) if index != 5]
    assert str(fault) == (
        f"{path}: all of it must be frames that can be decoded, "
        "got 1 parts that cannot, and 19 frames"
    )


@pytest.mark.parametrize("content", [b"", b"hello" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_film_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    why = "'Invalid data found when processing input'" if content else "'Invalid argument'"
    with pytest.raises(FilmError, match=r"^.* got one that fails with '.*'$") as refused:
        open_film(path)
    assert str(refused.value) == f"{path}: {FILM} {why}"


def test_a_film_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    message = rf"^{path}: must be a file that can be read, got 'No such file or directory'$"
    with pytest.raises(StorageError, match=message):
        open_film(path)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_no_other_file(film: Make, tmp_path: Path, kind: str) -> None:
    other = film("other.ts")
    path = tmp_path / "film.mp4"
    path.write_text(PLAYLISTS[kind].format(other))
    message = (
        f"{path}: must be a film (MP4, MOV, Matroska, WebM, AVI, MPEG), got a playlist of other "
        "files; name the films in it, or follow it from a program"
    )
    with pytest.raises(FilmError, match=f"^{re.escape(message)}$"):
        open_film(path)


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_playlist_is_followed_where_somebody_asks_for_it(
    film: Make, tmp_path: Path, kind: str, relative: bool
) -> None:
    other = film("other.ts")
    path = tmp_path / f"list.{kind}"
    path.write_text(PLAYLISTS[kind].format(other.name if relative else other))
    with open_film(path, playlists="follow") as opened:
        levels = [round(float(frame.picture.mean())) for frame in opened]
    assert levels == pytest.approx([16 + 4 * index for index in range(20)], abs=NEAR)


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}/x.ts", "tcp://127.0.0.1:{}"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_that_is_followed_leads_to_no_address(
    tmp_path: Path, kind: str, address: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        path = tmp_path / f"list.{kind}"
        path.write_text(PLAYLISTS[kind].format(address.format(listening.getsockname()[1])))
        with pytest.raises(FilmError, match=rf"^{path}: must "):
            list(open_film(path, playlists="follow"))
        # Nobody has even called.
        with pytest.raises(TimeoutError, match=r"^timed out$"):
            listening.accept()


def test_a_file_with_the_name_of_an_address_is_a_file(
    film: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film(), "concat:a.mp4")
    assert len(read(Path("concat:a.mp4"))[0]) == 20


def test_a_film_of_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(
        FilmError, match=rf"^{path}: must have pictures, got a film of sound alone$"
    ):
        open_film(path)


def test_a_film_in_an_unknown_coding_is_refused(film: Make) -> None:
    path = film(codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"mp4v", b"zzzz").replace(b"esds", b"free"))
    rule = "must be coded as this build of PyAV can decode it, got another coding"
    with pytest.raises(FilmError, match=rf"^{path}: {rule}$"):
        open_film(path)


def test_a_film_with_too_many_pixels_is_refused(film: Make) -> None:
    path = film()
    message = rf"^{path}: pictures must have at most 3000 pixels, got 3072 \(64 × 48\)$"
    with pytest.raises(ImageTooLarge, match=message):
        open_film(path, max_pixels=3000)


def test_without_pyav_the_extra_is_named(film: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edgeprep.errors import BackendUnavailable
    from edgeprep.films import check_av

    for name in [name for name in sys.modules if name.startswith("edgeprep.films._")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "av", None)
    message = r"^reading films needs PyAV, which is not installed; pip install edgeprep\[video\]$"
    with pytest.raises(BackendUnavailable, match=message):
        check_av()


def test_a_film_whose_pictures_begin_late_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            # As where the sound begins before.
            frame.pts = index + 4
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_film(path) as film:
        assert film.promised_s == pytest.approx(5.0)
        assert len(list(film)) == 50


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_colours_of_high_definition_are_those_of_its_standard(tmp_path: Path, full: bool) -> None:
    # Source: ITU-R BT.709-6, items 3.2 and 3.3, and 4.6 for the levels of the limited range.
    red, green, blue = wanted = (200, 30, 60)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    differences = (blue - luma) / 1.8556, (red - luma) / 1.5748
    scale, start, span = (1.0, 0.0, 1.0) if full else (219 / 255, 16.0, 224 / 255)
    planes = start + scale * luma, *(128 + span * each for each in differences)
    pixels = np.repeat(np.round(planes).astype(np.uint8), [48 * 64, 24 * 32, 24 * 32])
    path = tmp_path / "hd.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.options = {"crf": "1"}
        coded: Any = stream.codec_context
        coded.colorspace, coded.color_range = 1, 2 if full else 1
        frame = av.VideoFrame.from_ndarray(pixels.reshape(72, 64), format="yuv420p")
        frame.colorspace, frame.color_range, frame.pts = 1, 2 if full else 1, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_film(path) as film:
        (seen,) = film
    # Levels are whole numbers when they are coded, and once more when they are shown.
    assert np.abs(seen.picture.astype(int) - wanted).max() <= 3
