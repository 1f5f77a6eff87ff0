"""The image processors of ONNX Runtime Extensions: a list of steps in a JSON file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeprep.importers import stages
from edgeprep.importers.resampling import method
from edgeprep.importers.stages import Table
from edgeprep.importers.values import keys_left, length, number, numbers, positive, table, text
from edgeprep.schema.messages import broken

__all__ = ["from_onnxruntime_extensions"]

METHODS = {"LINEAR": "bilinear", "CUBIC": "bicubic"}


def from_onnxruntime_extensions(config: Mapping[str, object]) -> tuple[Table, ...]:
    """What an image processor does to a picture, as tables of a recipe.

    Args:
        config: the JSON document, ``{"processor": {"transforms": [{"operation": …}, …]}}``.

    Raises:
        RecipeError: a step is not known, or does what no stage does; the message starts with its
            place, such as ``processor.transforms[1]``.

    Source: image_transforms.hpp of onnxruntime-extensions, July 2026
    (tests/importers/test_from_onnxruntime_extensions.py).
    """
    processor = table(config.get("processor"), "processor")
    transforms = processor.get("transforms")
    if not isinstance(transforms, list) or not transforms:
        raise broken("processor.transforms", "must be an array of steps", transforms)
    steps = _Steps()
    for index, entry in enumerate(transforms):
        where = f"processor.transforms[{index}]"
        operation = table(table(entry, where).get("operation"), f"{where}.operation")
        attributes = table(operation.get("attrs") or {}, f"{where}.attrs")
        steps.read(text(operation.get("type"), f"{where}.type"), attributes, where)
    return steps.finish()


@dataclass(slots=True)
class _Steps:
    """What has been said so far, and what the numbers and channels have become."""

    tables: list[Table] = field(default_factory=list)
    color: str = "rgb"
    factor: float = 1.0
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    layout: str = "nhwc"

    def read(self, name: str, given: Mapping[str, object], where: str) -> None:
        match name:
            case "DecodeImage":
                self._decode(given, where)
            case "ConvertRGB":
                keys_left(given, (), where)
                self.color = "bgr" if self.color == "rgb" else "rgb"
            case "Resize":
                self._resize(given, where)
            case "CenterCrop":
                keys_left(given, ("height", "width"), where)
                self.tables.append(stages.center_crop(_pair(given, 224, where)))
            case "Rescale":
                keys_left(given, ("rescale_factor",), where)
                self.factor *= number(
                    given.get("rescale_factor", 1 / 255), f"{where}.rescale_factor"
                )
                positive((self.factor,), f"{where}.rescale_factor")
            case "Normalize":
                self._normalize(given, where)
            case "Permute3D":
                self._permute(given, where)
            case _:
                rule = "must be a step that prepares every picture alike and is known"
                remedy = "; take it out, and put stages that do the same into the recipe by hand"
                raise broken(f"{where}.type", rule, name, remedy)

    def finish(self) -> tuple[Table, ...]:
        swap = [stages.color("bgr")] if self.color == "bgr" else []
        affine = stages.normalize(*self.statistics, self.factor)
        # Channels first is what a recipe adds where nothing is said.
        axes: list[Table] = [{"use": "layout", "to": "nhwc"}] if self.layout == "nhwc" else []
        return (*self.tables, *swap, *affine, *axes)

    def _decode(self, given: Mapping[str, object], where: str) -> None:
        keys_left(given, ("color_space",), where)
        order = text(given.get("color_space", "RGB"), f"{where}.color_space").lower()
        if order not in ("rgb", "bgr"):
            raise broken(f"{where}.color_space", "must be 'RGB' or 'BGR'", given["color_space"])
        self.color = order

    def _resize(self, given: Mapping[str, object], where: str) -> None:
        keys_left(given, ("height", "width", "interpolation", "keep_aspect_ratio"), where)
        if given.get("keep_aspect_ratio", 1) != 0:
            rule = "must be 0: releases differ in whether they keep the aspect ratio at 1"
            remedy = "; set it to 0 if yours does not, else make the resize mode 'short' by hand"
            raise broken(f"{where}.keep_aspect_ratio", rule, given.get("keep_aspect_ratio"), remedy)
        way = text(given.get("interpolation", "CUBIC"), f"{where}.interpolation")
        kind = method(METHODS.get(way, way), f"{where}.interpolation")
        self.tables.append(stages.resize(_pair(given, 256, where), kind))

    def _normalize(self, given: Mapping[str, object], where: str) -> None:
        keys_left(given, ("mean", "std"), where)
        if self.statistics != ((), ()):
            raise broken(where, "must be the only Normalize", "Normalize", "; make one of the two")
        mean = numbers(given.get("mean", CLIP_MEAN), f"{where}.mean")
        std = positive(numbers(given.get("std", CLIP_STD), f"{where}.std"), f"{where}.std")
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != 3:
                raise broken(f"{where}.{name}", "must be 3 numbers, one a channel", list(values))
        self.statistics = (mean, std)

    def _permute(self, given: Mapping[str, object], where: str) -> None:
        keys_left(given, ("dims",), where)
        if given.get("dims") != [2, 0, 1]:
            rule = "must be [2, 0, 1], channels first"
            raise broken(f"{where}.dims", rule, given.get("dims"), "; leave it out for NHWC")
        self.layout = "nchw"


# What Normalize takes where nothing is said.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def _pair(given: Mapping[str, object], default: int, where: str) -> tuple[int, int]:
    height = length(given.get("height", default), f"{where}.height")
    return height, length(given.get("width", default), f"{where}.width")
