"""Preprocessing of timm's models, from the configuration that lies beside their weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from edgeprep.importers.resampling import method
from edgeprep.importers.stages import (
    Table,
    center_crop,
    normalize,
    resize,
    shorter_side,
)
from edgeprep.importers.values import crop_share, length, numbers, positive, table, text
from edgeprep.schema.messages import broken, join

__all__ = ["from_timm"]

# What timm takes where a configuration does not say (timm.data.constants).
DEFAULTS: Mapping[str, object] = {
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "crop_pct": 0.875,
    "crop_mode": "center",
}
BEYOND = "; beyond 1 timm crops more than there is, and fills with black; fine-tune with 1"


def from_timm(
    config: Mapping[str, object], *, size: Literal["train", "test"] = "train"
) -> tuple[Table, ...]:
    """What timm does to a picture before a model sees it, as tables of a recipe.

    Args:
        config: a model's `pretrained_cfg`, the `config.json` beside its weights, or what
            `timm.data.resolve_model_data_config` gives.
        size: "train" for `input_size` and `crop_pct`, as timm does unless it is asked; "test" for
            `test_input_size` and `test_crop_pct`, where there are any.

    Raises:
        RecipeError: a key is missing or wrong, or says what no stage can do.

    Source: `timm.data.create_transform` of timm 1.0.31 (tests/importers/test_from_timm.py).
    """
    where = ""
    if "pretrained_cfg" in config:
        where = "pretrained_cfg"
        config = table(config[where], where)
    given = {key: value for key, value in config.items() if value is not None}
    if size == "test":
        given |= {
            key[5:]: given[key] for key in ("test_input_size", "test_crop_pct") if key in given
        }
    if "input_size" not in given:
        remedy = "; it is in a model's pretrained_cfg, and in its config.json"
        raise broken(join(where, "input_size"), "must be [3, height, width]", None, remedy)
    # timm takes its default for 0 and for what is empty, too.
    full = {**DEFAULTS, **{key: value for key, value in given.items() if value or value is False}}
    return _chain(full, where)


def _chain(config: Mapping[str, object], where: str) -> tuple[Table, ...]:
    final = _size(config["input_size"], join(where, "input_size"))
    way = method(config["interpolation"], join(where, "interpolation"))
    mean = _channels(config["mean"], join(where, "mean"))
    std = positive(_channels(config["std"], join(where, "std")), join(where, "std"))
    crop = crop_share(config["crop_pct"], join(where, "crop_pct"), BEYOND)
    # In this order, as timm divides: 224 / 0.9 is 248, and not 249.
    larger = tuple(math.floor(side / crop) for side in final)
    cut = (center_crop(final, "torchvision"),) if larger != final else ()
    steps: tuple[Table, ...]
    match text(config["crop_mode"], join(where, "crop_mode")):
        case "squash":
            steps = (resize(larger, way), *cut)
        case "border":
            steps = (_border(larger, way, mean, crop, where),)
        case "center":
            if larger[0] != larger[1]:
                rule = "must be square for crop_mode 'center'"
                remedy = "; no stage resizes until a picture covers a rectangle"
                raise broken(join(where, "input_size"), rule, config["input_size"], remedy)
            steps = (shorter_side(larger[0], way), center_crop(final, "torchvision"))
        case other:
            rule = "must be 'center', 'squash' or 'border'"
            raise broken(join(where, "crop_mode"), rule, other)
    return (*steps, *normalize(mean, std, 1 / 255))


def _size(value: object, where: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 3 or value[0] != 3:
        raise broken(where, "must be [3, height, width]", value)
    return length(value[1], f"{where}[1]"), length(value[2], f"{where}[2]")


def _channels(value: object, where: str) -> tuple[float, ...]:
    read = numbers(value, where)
    if len(read) not in (1, 3):
        raise broken(where, "must be 3 numbers, one a channel", list(read))
    return read * 3 if len(read) == 1 else read


def _border(size: Sequence[int], way: str, mean: Sequence[float], crop: float, where: str) -> Table:
    if crop != 1:
        rule = "must be 1 for crop_mode 'border'"
        remedy = "; no stage pads one side and crops the other"
        raise broken(join(where, "crop_pct"), rule, crop, remedy)
    # Whole levels, halves to even, as timm rounds them.
    fill = [round(255 * value) for value in mean]
    if len(set(fill)) > 1:
        rule = "must be one level for all channels for crop_mode 'border', which fills with it"
        raise broken(join(where, "mean"), rule, list(mean), "; fine-tune with crop_mode 'center'")
    options: Table = {"use": "resize", "size": list(size), "mode": "letterbox", "fill": fill[0]}
    return options if way == "bilinear" else options | {"method": way}
