from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.data import Samples
from edgeprep.truths import Map, Picture

TABLE: dict[str, object] = {"use": "paired-folder", "path": "noisy", "targets": "clean"}

OpenData = Callable[..., Samples]
Draw = Callable[..., Path]


def test_pictures_come_with_their_targets_by_name(open_data: OpenData, draw: Draw) -> None:
    for name, level in (("a", 10), ("b", 20)):
        draw(f"noisy/{name}.png", level=level)
        draw(f"clean/{name}.bmp", level=level + 1)
    found = [
        (int(picture[0, 0, 0]), int(target.levels[0, 0, 0]))
        for picture, target in open_data("picture", **TABLE)
        if isinstance(target, Picture)
    ]
    assert found == [(10, 11), (20, 21)]


def test_targets_may_be_larger(open_data: OpenData, draw: Draw) -> None:
    draw("noisy/a.png", 4, 6)
    draw("clean/a.png", 12, 18)
    ((_, target),) = open_data("picture", **TABLE)
    assert isinstance(target, Picture)
    assert target.levels.shape == (12, 18, 3)


def test_both_in_one_directory_by_their_endings(open_data: OpenData, draw: Draw) -> None:
    draw("both/a_NOISY.png", level=1)
    draw("both/a_GT.png", level=2)
    keys = {"use": "paired-folder", "path": "both", "targets": "both"}
    ((picture, target),) = open_data("picture", **keys, ending="_NOISY", target_ending="_GT")
    assert isinstance(target, Picture)
    assert (picture[0, 0, 0], target.levels[0, 0, 0]) == (1, 2)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_maps_are_levels_times_their_unit(
    open_data: OpenData, draw: Draw, tmp_path: Path, depth: type[np.unsignedinteger]
) -> None:
    draw("noisy/a.png", 1, 3)
    (tmp_path / "clean").mkdir()
    levels = np.array([[0, 100, np.iinfo(depth).max]], depth)
    Image.fromarray(levels).save(tmp_path / "clean" / "a.png")
    ((_, target),) = open_data("map", **TABLE, unit=0.25, unknown=0)
    assert isinstance(target, Map)
    assert target.values.dtype == np.float32
    assert np.isnan(target.values[0, 0])
    assert target.values[0, 1:].tolist() == [25.0, np.iinfo(depth).max / 4]
    ((_, target),) = open_data("map", **TABLE, unit=0.25)
    assert isinstance(target, Map)
    assert target.values[0, 0] == 0.0


def test_what_does_not_fit_is_counted(open_data: OpenData, draw: Draw, tmp_path: Path) -> None:
    for number in range(36):
        draw(f"noisy/{number:02}.png")
        draw(f"clean/{number:02}.png")
    draw("clean/01.png", 7, 8)
    (tmp_path / "clean" / "02.png").unlink()
    (tmp_path / "noisy" / "03.png").unlink()
    samples = open_data("picture", **TABLE)
    assert len(list(samples)) == 33
    assert {one.name: one.reason for one in samples.skipped if one.name != "03.png"} == {
        "01.png": (
            "data.training: the label of 01.png must be as large as its picture, or a whole number"
            " of times as large, got (7, 8) for (6, 8)"
        ),
        "02.png": f"{tmp_path}/clean: must have a file for it, got none called '02'",
    }
    assert samples.skipped[-1].reason == (
        f"{tmp_path}/noisy: must have a picture for it, got none of its name"
    )


def test_a_map_in_colour_is_counted(open_data: OpenData, draw: Draw, tmp_path: Path) -> None:
    for number in range(10):
        draw(f"noisy/{number}.png")
        draw(f"clean/{number}.png", mode="RGB" if number == 4 else "L")
    samples = open_data("map", **TABLE)
    assert len(list(samples)) == 9
    assert [(one.name, one.reason) for one in samples.skipped] == [
        ("4.png", f"{tmp_path}/clean/4.png: must be a map, in grey, got a picture in colour")
    ]


def test_a_split_keeps_pairs_together(open_data: OpenData, draw: Draw) -> None:
    for number in range(10):
        draw(f"noisy/{number}.png", level=number)
        draw(f"clean/{number}.png", level=100 + number)
    for side, count in (("training", 7), ("validation", 3)):
        pairs = [*open_data("picture", **TABLE, split=side, held_out=0.3)]
        assert len(pairs) == count
        for picture, target in pairs:
            assert isinstance(target, Picture)
            assert target.levels[0, 0, 0] == picture[0, 0, 0] + 100


def test_a_directory_that_is_not_there(
    refuse: Callable[..., str], draw: Draw, tmp_path: Path
) -> None:
    draw("noisy/a.png")
    assert refuse("picture", (), **TABLE) == (
        f"data.training.targets: must be a directory, got '{tmp_path}/clean'"
    )
