"""What stages that vary pictures refuse, and in which words."""

import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.schema import build
from edgeprep.stages.random.blur import RandomBlur
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.cutout import RandomCutout
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.noise import RandomNoise
from edgeprep.stages.random.resized_crop import RandomResizedCrop
from edgeprep.stages.random.rotate import RandomRotate
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.tensors import ImageSpec

ODDS = "must be at least 0 and at most 1, got"
FAULTS = {
    "random-flip": [
        ({"horizontal": 1.01}, f"horizontal: {ODDS} 1.01"),
        ({"vertical": -0.01}, f"vertical: {ODDS} -0.01"),
        ({"vertical": float("nan")}, "vertical: must be a finite number, got nan"),
        ({"horisontal": 1}, "horisontal: unknown key; did you mean 'horizontal'?"),
    ],
    "random-turn": [
        ({"clockwise": []}, "clockwise: must have at least 1 item, got []"),
        ({"clockwise": [45]}, "clockwise[0]: must be one of 90, 180, 270, got 45"),
        ({"probability": 2}, f"probability: {ODDS} 2"),
    ],
    "random-crop": [
        ({}, "size: required key is missing"),
        ({"size": [0, 3]}, "size[0]: must be at least 1 and at most 16384, got 0"),
        (
            {"size": [16384, 16384]},
            "size: must have at most 67108864 pixels, got [16384, 16384]",
        ),
        ({"size": [9, 9], "padding": -1}, "padding: must be at least 0 and at most 16384, got -1"),
        (
            {"size": [9, 3], "padding": 3},
            "padding: must be less than both sides of size, [9, 3], got 3",
        ),
        ({"size": [9, 9], "fill": 256}, "fill: must be at least 0 and at most 255, got 256"),
    ],
    "random-resized-crop": [
        ({"size": [8, 8], "scale": [0, 1]}, "scale[0]: must be above 0 and at most 1, got 0"),
        ({"size": [8, 8], "scale": [0.5, 2]}, "scale[1]: must be above 0 and at most 1, got 2"),
        (
            {"size": [8, 8], "scale": [0.5, 0.1]},
            "scale: must be in ascending order, got [0.5, 0.1]",
        ),
        (
            {"size": [8, 8], "ratio": [2, 0.5]},
            "ratio: must be in ascending order, got [2.0, 0.5]",
        ),
        (
            {"size": [8, 8], "ratio": [0.001, 1]},
            "ratio[0]: must be at least 0.01 and at most 100, got 0.001",
        ),
        (
            {"size": [8, 8], "method": "nearest"},
            "method: must be one of 'area', 'bicubic', 'bilinear', got 'nearest'",
        ),
        (
            {"size": [8, 8], "method": "area", "antialias": False},
            "antialias: must be true for method 'area', got False; leave it out",
        ),
    ],
    "random-rotate": [
        ({"degrees": 0}, "degrees: must be above 0 and at most 180, got 0"),
        ({"degrees": 181}, "degrees: must be above 0 and at most 180, got 181"),
        ({"degrees": 5, "fill": -1}, "fill: must be at least 0 and at most 255, got -1"),
    ],
    "color-jitter": [
        ({}, "needs some of brightness, contrast, saturation and hue, got none"),
        ({"hue": 0.6}, "hue: must be at least 0 and at most 0.5, got 0.6"),
        ({"contrast": 11}, "contrast: must be at least 0 and at most 10, got 11"),
    ],
    "random-noise": [
        ({"sigma": 0}, "sigma: must be above 0 and at most 255, got 0"),
        ({"sigma": 256}, "sigma: must be above 0 and at most 255, got 256"),
    ],
    "random-blur": [
        ({"sigma": [3, 2]}, "sigma: must be in ascending order, got [3.0, 2.0]"),
        ({"sigma": [0.05, 2]}, "sigma[0]: must be at least 0.1 and at most 100.0, got 0.05"),
        ({"sigma": [1, 101]}, "sigma[1]: must be at least 0.1 and at most 100.0, got 101"),
    ],
    "cutout": [
        ({"count": 0}, "count: must be at least 1 and at most 64, got 0"),
        ({"count": 65}, "count: must be at least 1 and at most 64, got 65"),
        ({"size": 0}, "size: must be above 0 and at most 1, got 0"),
        ({"size": 1.1}, "size: must be above 0 and at most 1, got 1.1"),
        ({"fill": 300}, "fill: must be at least 0 and at most 255, got 300"),
    ],
}


@pytest.mark.parametrize(
    ("stage", "options", "message"),
    [
        pytest.param(stage, *fault, id=f"{stage} {fault[0]}")
        for stage, faults in FAULTS.items()
        for fault in faults
    ],
)
def test_an_option_out_of_bounds_is_refused(stage, options, message):
    cls = Registry(installed=False).get("stage", stage)
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        build(cls, options, "augment[2]")
    between = ": " if message.startswith("needs") else "."
    assert str(caught.value) == f"augment[2]{between}{message}"


PLANES = (
    ImageSpec(color="nv12"),
    "needs pixels, got planes, 'nv12'; put color with to = 'rgb' before all other stages",
)
CHANNELS_FIRST = (
    ImageSpec(layout="nchw", dtype="float32"),
    "needs layout 'nhwc', got 'nchw'; put layout last",
)
ALPHA = (
    ImageSpec(color="rgba"),
    "needs rgb or bgr or grey pictures, got 'rgba'; put color with to = 'rgb' before this stage",
)
NORMALIZED = (
    ImageSpec(range="normalized", dtype="float32"),
    "needs values in 0..255, got 'normalized'; put this stage before normalize and scale",
)
CROP = RandomCrop(size=(4, 3))
PADDED = RandomCrop(size=(4, 3), padding=2)
BLURRED_ALPHA = (ALPHA[0], ALPHA[1].replace("or grey", "or grey or ycrcb or lab"))
MOVING = (RandomFlip(), RandomTurn(), CROP, RandomResizedCrop(size=(4, 3)))
SHADING = (
    PADDED,
    RandomRotate(degrees=30),
    RandomColorJitter(brightness=0.5),
    RandomNoise(sigma=9),
    RandomCutout(),
)
REFUSED = [
    *((stage, *case) for stage in (*MOVING, RandomBlur()) for case in (PLANES, CHANNELS_FIRST)),
    *((stage, *case) for stage in SHADING for case in (PLANES, CHANNELS_FIRST, ALPHA, NORMALIZED)),
    (RandomBlur(), *BLURRED_ALPHA),
    (RandomBlur(), *NORMALIZED),
]


@pytest.mark.parametrize(
    ("stage", "image", "message"),
    [
        pytest.param(*case, id=f"{case[0].name} {case[1].color} {case[1].layout} {case[1].range}")
        for case in REFUSED
    ],
)
def test_pictures_that_a_stage_has_no_meaning_for_are_refused(stage, image, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        stage.output(image)
    assert str(caught.value) == message


@pytest.mark.parametrize("stage", MOVING, ids=lambda stage: stage.name)
@pytest.mark.parametrize("color", ["rgba", "grey", "lab"])
def test_what_moves_pixels_alone_takes_any_color(stage, color):
    image = ImageSpec(height=9, width=9, color=color)
    assert stage.output(image).color == color


def test_a_quarter_needs_a_square():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        RandomTurn().output(ImageSpec(height=4, width=9))
    assert str(caught.value) == (
        "needs square pictures, got [4, 9]; crop or resize to a square first, "
        "or set clockwise = [180]"
    )


def test_grey_has_no_hue():
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        RandomColorJitter(brightness=0.1, hue=0.1).output(ImageSpec(color="grey"))
    assert str(caught.value) == (
        "needs rgb or bgr pictures, got 'grey'; leave saturation and hue out"
    )
