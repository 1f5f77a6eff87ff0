"""Each of torchvision's transforms, by the name of its class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgeprep.importers import stages
from edgeprep.importers.resampling import method
from edgeprep.importers.stages import Table
from edgeprep.importers.torchvision_state import Name, State, attribute
from edgeprep.importers.values import length, lengths, number, numbers, positive
from edgeprep.schema.messages import broken

__all__ = ["STEPS"]


def _resize(state: State, step: object) -> None:
    where = f"{state.where}.size"
    if (limit := getattr(step, "max_size", None)) is not None:
        rule = "must be None, as no stage limits the longer side"
        remedy = "; fine-tune without, or with a size of [height, width]"
        raise broken(f"{state.where}.max_size", rule, limit, remedy)
    _resize_to(state, step, lengths(attribute(state, step, "size"), where))


def _resize_to(state: State, step: object, size: Sequence[int]) -> None:
    at = state.where
    way = method(attribute(state, step, "interpolation"), f"{at}.interpolation")
    # Once the default was None, or "warn": PIL images were antialiased, tensors were not.
    widens = getattr(step, "antialias", None)
    antialias = state.kind == "pil" or widens is True
    if not antialias and state.kind is None:
        rule = "must be True where it is not known whether PIL images or tensors arrive"
        remedy = "; say pictures='pil' or pictures='tensor': PIL images are always antialiased"
        raise broken(f"{at}.antialias", rule, widens, remedy)
    if way == "bicubic" and not antialias:
        rule = "must be True for bicubic, which is another in every library without"
        raise broken(f"{at}.antialias", rule, widens, "; fine-tune with True")
    if way == "bicubic" and state.floating:
        rule = "must be bilinear after the conversion to float, where bicubic leaves 0..1"
        remedy = "; put the resize before the conversion, as the stage clips"
        raise broken(f"{at}.interpolation", rule, way, remedy)
    if len(size) == 1:
        state.tables.append(stages.shorter_side(size[0], way, antialias=antialias))
        state.shorter, state.size = size[0], None
        return
    height, width = _pair(size, f"{at}.size")
    state.tables.append(stages.resize((height, width), way, antialias=antialias))
    state.size, state.shorter = (height, width), min(height, width)


def _pair(size: Sequence[int], where: str) -> Sequence[int]:
    if len(size) not in (1, 2):
        raise broken(where, "must be a length or [height, width] in pixels", list(size))
    return size if len(size) == 2 else [size[0], size[0]]


def _center_crop(state: State, step: object) -> None:
    where = f"{state.where}.size"
    _crop_to(state, _pair(lengths(attribute(state, step, "size"), where), where), where)


def _crop_to(state: State, size: Sequence[int], where: str) -> None:
    height, width = size
    arriving = state.size or (state.shorter or height, state.shorter or width)
    if height > arriving[0] or width > arriving[1]:
        rule = f"must be at most {list(arriving)!r}, which arrives"
        remedy = "; torchvision would fill the rest with black: resize to more before it"
        raise broken(where, rule, list(size), remedy)
    if state.size != (height, width):
        state.tables.append(stages.center_crop(size, "torchvision"))
    state.size, state.shorter = (height, width), min(size)


def _pad(state: State, step: object) -> None:
    if (mode := getattr(step, "padding_mode", "constant")) != "constant":
        rule = "must be 'constant': the stage pads with one grey level"
        raise broken(f"{state.where}.padding_mode", rule, mode, "; fine-tune with 'constant'")
    if state.normalized:
        rule = "must come before Normalize, as a grey level does not know its mean"
        raise broken(state.where, rule, Name(step), "; put it before the conversion to float")
    left, top, right, bottom = _borders(state, attribute(state, step, "padding"))
    if not any((left, top, right, bottom)):
        return
    table: Table = {"use": "pad", "top": top, "bottom": bottom, "left": left, "right": right}
    level = _level(state, getattr(step, "fill", 0))
    state.tables.append({key: value for key, value in table.items() if value != 0})
    if level:
        state.tables[-1]["value"] = level
    if state.size is not None:
        state.size = (state.size[0] + top + bottom, state.size[1] + left + right)
    state.shorter = None if state.size is None else min(state.size)


def _borders(state: State, padding: object) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    where = f"{state.where}.padding"
    given = padding if isinstance(padding, list | tuple) else (padding,)
    widths = [0 if width == 0 else length(width, where) for width in given]
    if len(widths) not in (1, 2, 4):
        raise broken(where, "must be 1, 2 or 4 widths in pixels", padding)
    left, top, right, bottom = widths * (4 // len(widths))
    return left, top, right, bottom


def _level(state: State, fill: object) -> int:
    """What the border becomes, in 0..255."""
    where = f"{state.where}.fill"
    if isinstance(fill, Mapping):
        raise broken(where, "must be a number, or one a channel", fill, "; name that of pictures")
    levels = {value / state.factor for value in numbers(0 if fill is None else fill, where)}
    level = round(min(levels))
    if max(levels) - min(levels) > 1e-3 or abs(level - min(levels)) > 1e-3 or not 0 <= level <= 255:
        rule = "must be one whole grey level, for all channels alike"
        raise broken(where, rule, fill, "; fine-tune with one")
    return level


def _grayscale(state: State, step: object) -> None:
    if state.normalized:
        rule = "must come before Normalize"
        raise broken(state.where, rule, Name(step), "; put it before the conversion to float")
    channels = int(number(attribute(state, step, "num_output_channels"), state.where))
    if state.color != "grey":
        state.tables.append(stages.color("grey"))
        state.color = "grey"
    if channels == 3:
        _rgb(state, step)


def _rgb(state: State, step: object) -> None:
    if state.color != "rgb":
        state.tables.append(stages.color("rgb"))
        state.color = "rgb"


def _to_tensor(state: State, step: object) -> None:
    state.kind = "tensor"
    if not state.floating:
        state.floating, state.factor = True, 1 / 255


def _pil_to_tensor(state: State, step: object) -> None:
    state.kind = "tensor"


def _to_pil(state: State, step: object) -> None:
    if state.floating:
        rule = "must come before the conversion to float, as it cuts fractions off"
        raise broken(state.where, rule, Name(step), "; leave out what converts there and back")
    state.kind = "pil"


def _convert(state: State, step: object) -> None:
    _to_dtype(state, attribute(state, step, "dtype"), scale=True)


def _to_dtype_step(state: State, step: object) -> None:
    dtype = attribute(state, step, "dtype")
    if isinstance(dtype, Mapping):
        named = {getattr(key, "__name__", key): value for key, value in dtype.items()}
        keys = ("Image", "Tensor", "others")
        dtype = next((named[key] for key in keys if key in named), None)
    if dtype is not None:
        _to_dtype(state, dtype, scale=bool(attribute(state, step, "scale")))


def _to_dtype(state: State, dtype: object, *, scale: bool) -> None:
    state.kind = "tensor"
    name = str(dtype).removeprefix("torch.")
    if name == ("float32" if state.floating else "uint8"):
        return
    if name != "float32":
        rule = "must be torch.float32, which edgeprep computes in"
        raise broken(f"{state.where}.dtype", rule, name, "; a target says its own precision")
    state.floating = True
    if scale:
        state.factor = 1 / 255


def _normalize(state: State, step: object) -> None:
    if not state.floating:
        rule = "must come after ToTensor or ToDtype, which say what its mean is measured in"
        remedy = "; put ToTensor() or ToDtype(torch.float32, scale=True) before it"
        raise broken(state.where, rule, Name(step), remedy)
    if state.normalized:
        raise broken(state.where, "must be the only one", Name(step), "; make one of the two")
    shift = _channels(state, step, "mean")
    spread = _channels(state, step, "std")
    positive(spread, f"{state.where}.std")
    state.tables.extend(stages.normalize(shift, spread, state.factor))
    state.normalized = True


def _channels(state: State, step: object, name: str) -> tuple[float, ...]:
    values = numbers(attribute(state, step, name), f"{state.where}.{name}")
    count = 1 if state.color == "grey" else 3
    if len(values) not in (1, count):
        rule = f"must be {count} for {state.color} pictures"
        raise broken(f"{state.where}.{name}", rule, list(values))
    return values if len(values) == count else values * count


def _preset(state: State, step: object) -> None:
    """What `weights.transforms()` of a classifier or a segmenter gives."""
    at = state.where
    if (size := attribute(state, step, "resize_size")) is not None:
        _resize_to(state, step, lengths(size, f"{at}.resize_size"))
    if hasattr(step, "crop_size"):
        where = f"{at}.crop_size"
        _crop_to(state, _pair(lengths(step.crop_size, where), where), where)
    _to_tensor(state, step)
    _normalize(state, step)


def _nothing(state: State, step: object) -> None:
    """For what changes no pixel."""


STEPS: Mapping[str, Callable[[State, Any], None]] = {
    "CenterCrop": _center_crop,
    "ConvertImageDtype": _convert,
    "Grayscale": _grayscale,
    "Identity": _nothing,
    "ImageClassification": _preset,
    "MaybePILToTensor": _pil_to_tensor,
    "MaybeToTensor": _to_tensor,
    "Normalize": _normalize,
    "ObjectDetection": _to_tensor,
    "PILToTensor": _pil_to_tensor,
    "Pad": _pad,
    "RGB": _rgb,
    "Resize": _resize,
    "SemanticSegmentation": _preset,
    "ToDtype": _to_dtype_step,
    "ToImage": _pil_to_tensor,
    "ToPILImage": _to_pil,
    "ToPureTensor": _nothing,
    "ToTensor": _to_tensor,
}
