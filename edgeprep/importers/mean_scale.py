"""Mean, scale and reversed channels, as converters have taken them for years."""

import json
from collections.abc import Iterable, Mapping, Sequence

from edgeprep.importers import stages
from edgeprep.importers.stages import Table
from edgeprep.importers.values import keys_left, lengths, numbers, positive
from edgeprep.schema.messages import broken
from edgeprep.tensors import Color

__all__ = ["from_mean_scale", "from_openvino"]

# Those of the Model Optimizer that say something of pictures, and those that do not.
READ = (
    "input_shape",
    "layout",
    "mean_values",
    "reverse_input_channels",
    "scale",
    "scale_values",
)
SILENT = ("compress_to_fp16", "data_type", "input", "input_model", "model_name", "output")


def from_mean_scale(
    mean: Sequence[float] | float | None = None,
    scale: Sequence[float] | float | None = None,
    *,
    reverse_channels: bool = False,
    size: tuple[int, int] | None = None,
    antialias: bool = False,
    color: Color = "rgb",
) -> tuple[Table, ...]:
    """`(level - mean) / scale` for levels in 0..255, as tables of a recipe.

    Args:
        mean: subtracted; one number a channel, in the order of the channels that the network
            takes, or one for all.
        scale: what is divided by, then; above 0, likewise.
        reverse_channels: whether the network takes the other order than `color`; reversing comes
            first.
        size: `(height, width)` in pixels to resize to, first of all, bilinear.
        antialias: whether that resize antialiases. Not, by default, as OpenCV and OpenVINO do.
        color: the order in which pictures arrive, as `[input]` of the recipe says.

    Raises:
        RecipeError: a number is wrong, or there are not as many as channels.

    Source: OpenVINO's Model Optimizer, `--mean_values`, `--scale_values` and
    `--reverse_input_channels` (tests/importers/test_from_mean_scale.py).
    """
    tables: list[Table] = []
    if size is not None:
        pair = lengths(size, "size")
        if len(pair) != 2:
            raise broken("size", "must be (height, width) in pixels", size)
        tables.append(stages.resize(pair, antialias=antialias))
    if reverse_channels:
        if color not in ("rgb", "bgr"):
            raise broken("color", "must be 'rgb' or 'bgr' to be reversed", color)
        tables.append(stages.color("bgr" if color == "rgb" else "rgb"))
    count = 1 if color == "grey" else 3
    shift = _channels(mean, count, 0.0, "mean")
    spread = positive(_channels(scale, count, 1.0, "scale"), "scale")
    return (*tables, *stages.normalize(shift, spread, 1.0))


def from_openvino(config: Mapping[str, object]) -> tuple[Table, ...]:
    """The arguments of OpenVINO's Model Optimizer, as tables of a recipe.

    Args:
        config: `mean_values`, `scale_values` or `scale`, `reverse_input_channels` and
            `input_shape`, by name, each as JSON or as on the command line
            (``"data[104.0,117.0,123.0]"``); or ``{"model_optimizer_args": ["--mean_values=…"]}``,
            as in Open Model Zoo. `input_shape` gives a resize without antialiasing, which is what
            OpenVINO's own samples do to pictures.

    Raises:
        RecipeError: a key is unknown or wrong.
    """
    if "model_optimizer_args" in config:
        config = _arguments(config["model_optimizer_args"])
    keys_left(config, (*READ, *SILENT))
    if config.get("scale") is not None and config.get("scale_values") is not None:
        rule = "must be left out where there are scale_values"
        raise broken("scale", rule, config["scale"])
    reverse = config.get("reverse_input_channels") or False
    if not isinstance(reverse, bool):
        raise broken("reverse_input_channels", "must be true or false", reverse)
    name = "scale" if config.get("scale") is not None else "scale_values"
    return from_mean_scale(
        _values(config.get("mean_values"), "mean_values"),
        _values(config.get(name), name),
        reverse_channels=reverse,
        size=_size(config.get("input_shape"), config.get("layout")),
    )


def _channels(
    values: Sequence[float] | float | None, count: int, neutral: float, where: str
) -> tuple[float, ...]:
    read = (neutral,) if values is None else numbers(values, where)
    if len(read) not in (1, count):
        raise broken(where, f"must be one number, or {count}, one a channel", list(read))
    return read if len(read) == count else read * count


def _arguments(given: object) -> dict[str, object]:
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) for item in given):
        raise broken("model_optimizer_args", "must be an array of strings", given)
    read: dict[str, object] = {}
    for argument in given:
        name, equals, value = argument.removeprefix("--").partition("=")
        read[name] = value if equals else True
    return read


def _values(given: object, where: str) -> tuple[float, ...] | None:
    """Numbers as JSON, or as on the command line, where the input may have a name."""
    if given is None:
        return None
    return numbers(_parse(given, where) if isinstance(given, str) else given, where)


def _parse(given: str, where: str) -> object:
    written = given.replace("(", "[").replace(")", "]")
    bracket = written.find("[")
    # A name before the bracket, as the Model Optimizer lets one input be told from another.
    body = written[bracket:] if bracket >= 0 else f"[{given}]"
    if body.count("[") > 1:
        rule = "must be for one input"
        raise broken(where, rule, given, "; keep the numbers of the one that takes pictures")
    try:
        parsed: object = json.loads(body)
    except ValueError:
        raise broken(where, "must be numbers, such as [104.0,117.0,123.0]", given) from None
    return parsed


def _size(given: object, layout: object) -> tuple[int, int] | None:
    if given is None:
        return None
    where = "input_shape"
    shape = _parse(given, where) if isinstance(given, str) else given
    if not isinstance(shape, Iterable) or len(read := list(lengths(shape, where))) != 4:
        raise broken(where, "must have 4 lengths, such as [1, 3, 224, 224]", given)
    axes = layout.upper() if isinstance(layout, str) else "NHWC" if read[3] == 3 else "NCHW"
    if axes not in ("NCHW", "NHWC") or read[axes.index("C")] != 3:
        raise broken(where, "must have 3 channels, in the order NCHW or NHWC", given)
    return read[axes.index("H")], read[axes.index("W")]
