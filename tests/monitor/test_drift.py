"""Faults of cameras, made of pictures that have none."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from edgeprep.monitor.drift import ANSWERS, Drift, DriftReport, join_reports, watched
from edgeprep.monitor.reference import make_reference
from edgeprep.monitor.scenes import Scenes


def pieces(photographs, count, seed, size=96):
    """Pieces of real photographs, at half their size."""
    rng = np.random.default_rng(seed)
    whole = [np.asarray(Image.fromarray(one).reduce(2)) for one in photographs if one.ndim == 3]
    found = []
    for _ in range(count):
        one = whole[rng.integers(len(whole))]
        top, left = (rng.integers(0, length - size + 1) for length in one.shape[:2])
        found.append(np.ascontiguousarray(one[top : top + size, left : left + size, :3]))
    return found


@pytest.fixture(scope="module")
def camera():
    """Calibration, and what comes later: other pieces of a warm scene and a dim one."""
    photographs = (data.coffee(), data.chelsea())
    return pieces(photographs, 120, 0), pieces(photographs, 100, 1)


@pytest.fixture(scope="module")
def reference(camera):
    return make_reference(camera[0], "rgb", placement="graph", classes=(60, 60))


def blurred(picture):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3)))


def noisy(picture):
    noise = np.random.default_rng(int(picture.sum())).normal(0, 60, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


FAULTS = {
    "black": lambda picture: picture // 64,
    "dark": lambda picture: (picture * 0.15).astype(np.uint8),
    "overexposed": lambda picture: np.clip(picture * 3.0 + 80, 0, 255).astype(np.uint8),
    "flat": lambda picture: (picture // 24 + 110).astype(np.uint8),
    "unsharp": blurred,
    "noisy": noisy,
    "swapped": lambda picture: picture[:, :, ::-1],
}


def told(drift, pictures, classes=()):
    """Each change, with the number of the picture that brought it."""
    return [
        (change.fault, change.there, number)
        for number, picture in enumerate(pictures, 1)
        for change in drift.look(picture, classes)
    ]


def test_pictures_like_those_at_calibration_are_told_nothing_of(camera, reference):
    drift = Drift(reference, "rgb")
    assert told(drift, camera[1]) == []
    assert drift.report.faults == ()
    assert drift.report.looked_at == 100


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_once_and_told_again_when_it_is_over(camera, reference, fault):
    good = camera[1]
    drift = Drift(reference, "rgb")
    first, second = good[:50], good[50:]
    begun = told(drift, [FAULTS[fault](picture) for picture in first])
    assert [(name, there) for name, there, _ in begun] == [(fault, True)]
    assert begun[0][2] <= 50
    assert drift.report.faults == (fault,)
    assert [(name, there) for name, there, _ in told(drift, second)] == [(fault, False)]
    assert drift.report.faults == ()


def test_eight_black_pictures_are_enough_and_seven_are_not(camera, reference):
    drift = Drift(reference, "rgb")
    black = [np.full((96, 96, 3), number % 3, np.uint8) for number in range(20)]
    assert told(drift, black[:7]) == []
    assert told(drift, black[7:8]) == [("black", True, 1)]
    # As long as it went on for: it is over after eight good ones.
    told(drift, black * 5)
    assert told(drift, camera[1][:8]) == [("black", False, 8)]


def test_every_other_picture_is_no_fault(camera, reference):
    drift = Drift(reference, "rgb")
    mixed = [one for good in camera[1] for one in (good, FAULTS["black"](good))]
    assert told(drift, mixed) == []


def test_the_same_picture_again_and_again_is_frozen(camera, reference):
    drift = Drift(reference, "rgb")
    still, moving = camera[1][0], camera[1][1:]
    assert told(drift, [still] * 20) == [("frozen", True, 9)]
    assert told(drift, moving[:20]) == [("frozen", False, 8)]
    # One bit is enough to show that a camera lives.
    living = []
    for number in range(20):
        living.append(still.copy())
        living[-1][0, 0, 0] ^= 1 + number % 3
    assert told(Drift(reference, "rgb"), living) == []


@pytest.mark.parametrize("row", [0, 1, 95])
def test_one_bit_in_any_row_shows_that_a_camera_lives(camera, reference, row):
    living = [camera[1][0].copy() for _ in range(20)]
    for number, picture in enumerate(living):
        picture[row, 0, 0] ^= 1 + number % 3
    assert told(Drift(reference, "rgb"), living) == []


def test_a_still_scene_of_the_other_colour_is_no_swap(camera, reference):
    """Its cast says nothing new, however long one looks at it."""
    bluest = min(
        camera[1], key=lambda picture: float(picture[:, :, 0].mean() - picture[:, :, 2].mean())
    )
    scene = []
    for number in range(60):
        scene.append(bluest.copy())
        scene[-1][0, 0, 0] = number
    assert told(Drift(reference, "rgb"), scene) == []


def test_where_colours_are_even_a_swap_cannot_be_told_and_is_not_promised(camera):
    both = [*camera[0], *(picture[:, :, ::-1] for picture in camera[0])]
    even = make_reference(both, "rgb", placement="graph")
    assert "swapped" not in watched(even)
    swapped = [FAULTS["swapped"](picture) for picture in camera[1]]
    assert told(Drift(even, "rgb"), swapped) == []


def test_cameras_that_were_black_at_times_are_not_told_to_be(camera):
    dark = [np.zeros((96, 96, 3), np.uint8)] * 20
    reference = make_reference([*camera[0], *dark], "rgb", placement="graph")
    assert not {"black", "dark", "flat"} & set(watched(reference))
    assert "black" not in {name for name, *_ in told(Drift(reference, "rgb"), dark)}


def test_grey_cameras_are_watched_for_all_but_colours(camera):
    grey = [[picture[:, :, 1:2] for picture in part] for part in camera]
    reference = make_reference(grey[0], "grey", placement="graph")
    assert watched(reference) == (
        "frozen",
        "black",
        "dark",
        "flat",
        "overexposed",
        "unsharp",
        "noisy",
    )
    drift = Drift(reference, "grey")
    assert told(drift, grey[1]) == []
    assert [name for name, *_ in told(drift, [one // 64 for one in grey[1][:9]])] == ["black"]


@pytest.fixture(scope="module")
def many():
    """As many scenes as answers are counted, and then some: none is like another one."""
    found = pieces((data.coffee(), data.chelsea()), 600, 2, size=48)
    scenes = Scenes("rgb", 600)
    kept = [picture for picture in found if scenes.is_new(picture)]
    return kept[:ANSWERS]


def test_a_camera_that_stands_is_not_told_of_its_class(camera, reference):
    """One answer, again and again, is one answer: with noise, and at any light of the day."""
    rng = np.random.default_rng(3)
    scene = camera[1][0]
    drift = Drift(reference, "rgb")
    for look in range(3 * ANSWERS):
        light = 0.75 + 0.25 * np.sin(look / 20)
        seen = np.clip(scene * light + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
        assert [one for one in drift.look(seen, (1,)) if one.fault == "classes"] == []


def test_cameras_that_stand_and_take_turns_are_not_told_of_their_classes(camera, reference):
    drift = Drift(reference, "rgb")
    for look in range(3 * ANSWERS):
        scene = camera[1][look % 4].copy()
        scene[0, 0] = look % 251
        assert [one for one in drift.look(scene, (1,)) if one.fault == "classes"] == []


def test_classes_that_move_are_told_when_enough_were_counted(many, reference):
    drift = Drift(reference, "rgb")
    pictures = many
    assert len(pictures) == ANSWERS
    even = [
        change for number, one in enumerate(pictures) for change in drift.look(one, (number % 2,))
    ]
    assert [change for change in even if change.fault == "classes"] == []
    moved = [change for change in told(drift, pictures, (1,)) if change[0] == "classes"]
    assert moved == [("classes", True, ANSWERS)]
    over = [
        change for number, one in enumerate(pictures) for change in drift.look(one, (number % 2,))
    ]
    found = [change for change in over if change.fault == "classes"]
    assert [(change.fault, change.there, change.seen) for change in found] == [
        ("classes", False, "of 256 objects as at calibration")
    ]


def test_a_class_that_was_never_there_is_another_class(many, reference):
    changes = told(Drift(reference, "rgb"), many, (7, 7))
    assert [change for change in changes if change[0] == "classes"] == [("classes", True, ANSWERS)]


def test_nothing_found_is_nothing_told(many, reference):
    changes = told(Drift(reference, "rgb"), many, ())
    assert [change for change in changes if change[0] == "classes"] == []


def test_where_nothing_is_found_classes_stay_as_they_were(many, reference):
    drift = Drift(reference, "rgb")
    assert [change[0] for change in told(drift, many, (1,)) if change[0] == "classes"] != []
    assert [change for change in told(drift, many, ()) if change[0] == "classes"] == []
    assert "classes" in drift.report.faults


def test_where_calibration_has_pictures_out_of_focus_that_is_not_promised(camera):
    """Of a slope nothing is left that bends: no picture is less sharp than that."""
    slope = np.broadcast_to(np.arange(96, dtype=np.uint8)[:, None], (96, 96, 3))
    reference = make_reference([*camera[0], *[slope] * 20], "rgb", placement="graph")
    assert reference.features["sharpness"].low == 0
    assert "unsharp" not in watched(reference)
    assert "unsharp" in watched(make_reference(camera[0], "rgb", placement="graph"))


def test_words_are_made_when_something_has_changed_and_not_before(camera, reference, monkeypatch):
    """Of what 90 good looks and 20 black ones bring: one beginning."""
    made = []
    words = Drift._describe

    def describe(drift, fault, values):
        made.append(fault)
        return words(drift, fault, values)

    monkeypatch.setattr(Drift, "_describe", describe)
    drift = Drift(reference, "rgb")
    told(drift, camera[1][:90])
    assert made == []
    told(drift, [np.full((96, 96, 3), number % 3, np.uint8) for number in range(20)])
    assert made == ["black"]


def test_members_of_an_ensemble_know_together_what_each_knows():
    one = DriftReport(looked_at=3, faults=("black",), watched=("frozen", "black"))
    other = DriftReport(looked_at=2, faults=("classes",), watched=("frozen", "classes"))
    none = DriftReport(reason="it has none")
    assert join_reports([none, none]) == none
    assert join_reports([one, none, other]) == DriftReport(
        looked_at=5, faults=("black", "classes"), watched=("frozen", "black", "classes")
    )


def test_members_of_an_ensemble_see_the_same_streams():
    one = DriftReport(streams={"camera 0": ("black",), "camera 1": ("dark", "flat")})
    other = DriftReport(streams={"camera 1": ("flat", "classes")})
    assert join_reports([one, other]).streams == {
        "camera 0": ("black",),
        "camera 1": ("dark", "flat", "classes"),
    }
