"""What no stage does is refused, with its place, what it was, and what to do."""

import re

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.importers import from_torchvision

UNKNOWN = "leave it out of the import, and put stages that do the same into the recipe by hand"
TRAINING = "leave it out: it is for training only; import the transform for evaluation"


def refused(transform, message, **options):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_torchvision(transform, **options)


@pytest.mark.parametrize("name", ["RandomHorizontalFlip", "ColorJitter"])
def test_what_varies_pictures_is_for_training(v1, name):
    refused(
        v1.Compose([v1.ToTensor(), getattr(v1, name)()]),
        f"transforms[1]: must treat every picture alike, got {name}; {TRAINING}",
    )


def test_what_is_not_known_is_named_with_its_place(v1):
    known = "must be a transform that is known"
    refused(
        v1.Compose([v1.Compose([v1.Lambda(abs)])]),
        f"transforms[0].transforms[0]: {known}, got Lambda; "
        "code cannot be read; put the stages that it stands for into the recipe by hand",
    )
    refused(
        v1.FiveCrop(8),
        f"transform: {known}, got FiveCrop; it makes several pictures of one; use CenterCrop",
    )
    refused(torch.nn.ReLU(), f"transform: {known}, got torch.ReLU; {UNKNOWN}")
    refused(None, f"transform: {known}, got NoneType; {UNKNOWN}")


def test_other_libraries_have_classes_of_the_same_names():
    resize = type("Resize", (), {"__module__": "albumentations.augmentations", "size": (8, 8)})
    refused(
        resize(),
        f"transform: must be a transform that is known, got albumentations.Resize; {UNKNOWN}",
    )
    resize = type("Resize", (), {"__module__": "acme.transforms"})
    refused(
        resize(),
        "transform: must have the attribute 'size', as torchvision's has, got acme.Resize; "
        f"{UNKNOWN}",
    )


def test_what_timm_makes_is_imported_from_its_configuration():
    step = type("ResizeKeepRatio", (), {"__module__": "timm.data.transforms"})()
    refused(
        step,
        "transform: must be a transform that is known, got timm.ResizeKeepRatio; "
        "timm made it: import the model's configuration with from_timm",
    )


@pytest.mark.parametrize(("number", "name"), [(0, "nearest"), (1, "lanczos"), (4, "box")])
def test_ways_to_resize_that_are_not_portable(v1, number, name):
    refused(
        v1.Resize(8, interpolation=number),
        "transform.interpolation: must be bilinear or bicubic (2 or 3 as Pillow counts), got "
        f"{name!r}; no other way to resize means the same in every engine; fine-tune with one of "
        "these",
    )


def test_a_limit_of_the_longer_side(v1):
    refused(
        v1.Resize(8, max_size=20),
        "transform.max_size: must be None, as no stage limits the longer side, got 20; "
        "fine-tune without, or with a size of [height, width]",
    )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "transform.size: must be at least 1 pixel, got 0"),
        ((8, -1), "transform.size[1]: must be at least 1 pixel, got -1"),
        ((8, 8, 8), "transform.size: must be a length or [height, width] in pixels, got [8, 8, 8]"),
        ("8", "transform.size: must be a length or [height, width] in pixels, got '8'"),
        ((8, 8.5), "transform.size[1]: must be a whole number of pixels, got 8.5"),
    ],
)
def test_sizes_that_are_none(v1, size, message):
    refused(v1.Resize(size), message)


def test_who_does_not_antialias_must_say_what_arrives(v1):
    refused(
        v1.Resize(8, antialias=None),
        "transform.antialias: must be True where it is not known whether PIL images or tensors "
        "arrive, got None; say pictures='pil' or pictures='tensor': PIL images are always "
        "antialiased",
    )


def test_bicubic_that_is_another_in_every_library(v1):
    refused(
        v1.Resize(8, interpolation=3, antialias=False),
        "transform.antialias: must be True for bicubic, which is another in every library without, "
        "got False; fine-tune with True",
        pictures="tensor",
    )
    refused(
        v1.Compose([v1.ToTensor(), v1.Resize(8, interpolation=3)]),
        "transforms[1].interpolation: must be bilinear after the conversion to float, where "
        "bicubic leaves 0..1, got 'bicubic'; put the resize before the conversion, as the stage "
        "clips",
    )


@pytest.mark.parametrize(("size", "arrives"), [(8, [8, 8]), ((8, 20), [8, 20])])
def test_a_crop_beyond_the_picture(v1, size, arrives):
    refused(
        v1.Compose([v1.Resize(size), v1.CenterCrop(9)]),
        f"transforms[1].size: must be at most {arrives}, which arrives, got [9, 9]; torchvision "
        "would fill the rest with black: resize to more before it",
    )


def test_borders_that_are_not_one_grey_level(v1):
    refused(
        v1.Pad(1, padding_mode="reflect"),
        "transform.padding_mode: must be 'constant': the stage pads with one grey level, got "
        "'reflect'; fine-tune with 'constant'",
    )
    one = "transform.fill: must be one whole grey level, for all channels alike"
    refused(v1.Pad(1, fill=(1, 2, 3)), f"{one}, got (1, 2, 3); fine-tune with one")
    refused(v1.Pad(1, fill=256), f"{one}, got 256; fine-tune with one")
    refused(v1.Pad(1, fill=1.5), f"{one}, got 1.5; fine-tune with one")
    refused(
        v1.Pad(1, fill={"Image": 1}),
        "transform.fill: must be a number, or one a channel, got {'Image': 1}; "
        "name that of pictures",
    )
    refused(
        v1.Pad((1, 2, 3)),
        "transform.padding: must be 1, 2 or 4 widths in pixels, got (1, 2, 3)",
    )
    refused(v1.Pad(-1), "transform.padding: must be at least 1 pixel, got -1")


def test_what_has_to_come_before_the_mean_is_subtracted(v1):
    before = [v1.ToTensor(), v1.Normalize([0.5], [0.5])]
    early = "put it before the conversion to float"
    refused(
        v1.Compose([*before, v1.Pad(1)]),
        "transforms[2]: must come before Normalize, as a grey level does not know its mean, got "
        f"Pad; {early}",
    )
    refused(
        v1.Compose([*before, v1.Grayscale()]),
        f"transforms[2]: must come before Normalize, got Grayscale; {early}",
    )
    refused(
        v1.Compose([*before, v1.Normalize([0.5], [0.5])]),
        "transforms[2]: must be the only one, got Normalize; make one of the two",
    )


def test_a_mean_whose_unit_nobody_says(v1):
    refused(
        v1.Normalize([0.5], [0.5]),
        "transform: must come after ToTensor or ToDtype, which say what its mean is measured in, "
        "got Normalize; put ToTensor() or ToDtype(torch.float32, scale=True) before it",
    )


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5] * 2, [0.5] * 3, ".mean: must be 3 for rgb pictures, got [0.5, 0.5]"),
        ([0.5] * 3, [0.5, 0.0, 0.5], ".std: must be above 0, got 0.0"),
        (["a"] * 3, [0.5] * 3, ".mean[0]: must be a number, got 'a'"),
        ([float("nan")] * 3, [0.5] * 3, ".mean[0]: must be a finite number, got nan"),
        ([], [0.5] * 3, ".mean: must be one number a channel, got []"),
    ],
)
def test_statistics_that_are_none(v1, mean, std, message):
    refused(v1.Compose([v1.ToTensor(), v1.Normalize(mean, std)]), f"transforms[1]{message}")


def test_other_types_of_numbers(v1):
    for dtype, name in ((torch.float16, "float16"), (torch.int64, "int64")):
        refused(
            v1.ConvertImageDtype(dtype),
            f"transform.dtype: must be torch.float32, which edgeprep computes in, got {name!r}; "
            "a target says its own precision",
        )


def test_there_and_back_cuts_fractions_off(v1):
    refused(
        v1.Compose([v1.ToTensor(), v1.ToPILImage()]),
        "transforms[1]: must come before the conversion to float, as it cuts fractions off, got "
        "ToPILImage; leave out what converts there and back",
    )
