"""Films of pictures: whole or not at all, read back by PyAV alone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edgeprep.errors import BackendUnavailable, OutputExists, ShapeError, StorageError
from edgeprep.films import open_film, write_film

LEVELS = (20, 60, 100, 140, 180, 220)


def plain(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def read(path: Path) -> tuple[list[np.ndarray], list[float], Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        return pictures, [frame.time for frame in frames], stream.average_rate


def test_pictures_come_back_at_their_rate(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with write_film(path, fps=Fraction(30000, 1001)) as film:
        for level in LEVELS:
            film.add(plain(level))
        assert film.frames == 6
    pictures, times, rate = read(path)
    assert [round(float(picture.mean())) for picture in pictures] == pytest.approx(LEVELS, abs=3)
    assert times == pytest.approx([index * 1001 / 30000 for index in range(6)], abs=1e-4)
    assert rate == Fraction(30000, 1001)
    assert list(tmp_path.iterdir()) == [path]


def test_frames_that_come_as_they_like_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 0.51, 2.0]
    with write_film(tmp_path / "out.mp4", fps=10) as film:
        for level, time_s in zip(LEVELS, times, strict=True):
            film.add(plain(level), time_s)
    assert read(tmp_path / "out.mp4")[1] == pytest.approx(times, abs=1e-3)


def test_two_pictures_at_one_time_are_both_there(tmp_path: Path) -> None:
    with write_film(tmp_path / "out.mp4", fps=10) as film:
        for level in LEVELS:
            film.add(plain(level), 0.0)
    assert len(read(tmp_path / "out.mp4")[0]) == 6


def test_an_odd_side_repeats_its_last_pixel(tmp_path: Path) -> None:
    with write_film(tmp_path / "out.mp4", fps=10) as film:
        for level in LEVELS:
            film.add(plain(level, (47, 63)))
    pictures, _, _ = read(tmp_path / "out.mp4")
    assert pictures[0].shape == (48, 64, 3)
    assert pictures[5][47, 63].tolist() == pytest.approx([220] * 3, abs=3)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    message = r"^picture: must have the size of the film, \(48, 64, 3\), got \(32, 64, 3\)$"
    with write_film(tmp_path / "out.mp4", fps=10) as film:
        film.add(plain(9))
        with pytest.raises(ShapeError, match=message):
            film.add(plain(9, (32, 64)))
    assert len(read(tmp_path / "out.mp4")[0]) == 1


def test_a_block_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def stopped() -> None:
        with write_film(tmp_path / "out.mp4", fps=10) as film:
            film.add(plain(9))
            raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match=r"^now$"):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"precious")
    message = rf"^{path}: already exists; pass --overwrite \(overwrite=True\) to replace it$"
    with pytest.raises(OutputExists, match=message), write_film(path, fps=10):
        pass
    assert path.read_bytes() == b"precious"
    with write_film(path, fps=10, overwrite=True) as film:
        film.add(plain(9))
    assert len(read(path)[0]) == 1


def test_where_it_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "out.mp4"
    message = rf"^{path}: must lie in an existing directory, got '{path.parent}'$"
    with pytest.raises(StorageError, match=message), write_film(path, fps=10):
        pass


def test_a_build_without_the_encoder_of_h264_takes_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.films._write._ENCODERS", ("absent", "mpeg4"))
    with write_film(tmp_path / "out.mp4", fps=Fraction(24000, 1001)) as film:
        for level in LEVELS:
            film.add(plain(level))
    pictures, _, rate = read(tmp_path / "out.mp4")
    assert [round(float(picture.mean())) for picture in pictures] == pytest.approx(LEVELS, abs=3)
    assert rate == Fraction(24000, 1001)


def test_a_build_without_any_encoder_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.films._write._ENCODERS", ("absent", "gone"))
    message = (
        r"^writing films needs one of the encoders absent, gone, which this build of PyAV "
        r"has not; pip install av$"
    )
    with (
        pytest.raises(BackendUnavailable, match=message),
        write_film(tmp_path / "out.mp4", fps=10),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
@pytest.mark.parametrize(
    "rate",
    [Fraction(90_000), Fraction(1_000_000, 33_367), Fraction(2_997_003, 100_001), Fraction(1, 90)],
    ids=str,
)
def test_rates_that_are_odd_are_written_as_near_as_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: Fraction, encoder: str
) -> None:
    monkeypatch.setattr("edgeprep.films._write._ENCODERS", (encoder,))
    with write_film(tmp_path / "out.mp4", fps=rate) as film:
        for level in LEVELS:
            film.add(plain(level))
    pictures, times, _ = read(tmp_path / "out.mp4")
    assert len(pictures) == 6
    # Nobody shows more than 240 pictures a second: it is the clock of a container.
    assert times[5] == pytest.approx(float(5 / min(rate, Fraction(240))), rel=1e-3)


def test_pixels_that_are_no_squares_stay_as_wide(tmp_path: Path) -> None:
    # 720 × 576 of a film that is shown 16:9.
    wide = Fraction(64, 45)
    with write_film(tmp_path / "wide.mp4", fps=10, aspect=wide) as film:
        for level in LEVELS:
            film.add(plain(level))
    with av.open(str(tmp_path / "wide.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == wide
    with open_film(tmp_path / "wide.mp4") as film:
        assert len(list(film)) == 6
        assert film.aspect == wide
