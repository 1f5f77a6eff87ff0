"""Pictures of one scene, however they differ, and pictures of others."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from edgeprep.monitor.scenes import Scenes

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scene() -> Picture:
    return np.ascontiguousarray(data.coffee()[:, :, :3])


def noisy(picture: Picture, seed: int, sigma: float = 10.0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_noise_and_light_leave_a_scene_what_it_is(scene: Picture) -> None:
    scenes = Scenes("rgb", 8)
    assert scenes.is_new(scene)
    for seed, light in enumerate((1.0, 0.8, 0.5, 0.3)):
        assert not scenes.is_new(noisy((scene * light).astype(np.uint8), seed))


def test_scenes_that_take_turns_are_new_once_each(scene: Picture) -> None:
    others = [scene, scene[::-1], scene[:, ::-1], scene[::-1, ::-1]]
    scenes = Scenes("rgb", 8)
    assert [scenes.is_new(one) for one in others * 3] == [True] * 4 + [False] * 8


def test_after_forgetting_every_scene_is_new(scene: Picture) -> None:
    scenes = Scenes("rgb", 8)
    assert scenes.is_new(scene)
    scenes.forget()
    assert scenes.is_new(scene)


def test_what_goes_through_a_scene_makes_another_of_it(scene: Picture) -> None:
    """Something as large as a quarter of the picture, where it is dark."""
    other = scene.copy()
    other[:200, :300] = 255 - other[:200, :300]
    scenes = Scenes("rgb", 8)
    assert (scenes.is_new(scene), scenes.is_new(other)) == (True, True)


def test_noise_in_the_dark_is_no_scene() -> None:
    scenes = Scenes("rgb", 8)
    dark = np.full((240, 320, 3), 20, np.uint8)
    assert not any(scenes.is_new(noisy(dark, seed)) for seed in range(20))


@pytest.mark.parametrize(
    ("shape", "color"),
    [((1, 1, 1), "grey"), ((3, 200, 1), "grey"), ((7, 9, 3), "bgr"), ((30, 20, 1), "nv12")],
    ids=["one pixel", "a strip", "odd", "planes"],
)
def test_pictures_of_any_size_can_be_looked_at(shape: tuple[int, int, int], color: str) -> None:
    """One pixel alone has nothing in it; of others, what is turned upside down is new."""
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    scenes = Scenes(color, 8)  # type: ignore[arg-type]  # one of them
    assert scenes.is_new(picture) == (picture.size > 1)
    assert not scenes.is_new(picture)
    assert not scenes.is_new(np.asfortranarray(picture))
