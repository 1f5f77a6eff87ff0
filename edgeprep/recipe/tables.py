"""The tables that say what is converted: network, pictures, data and formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Annotated

from msgspec import Meta

from edgeprep import schema
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Precision
from edgeprep.tensors import (
    LONGEST_CLIP,
    MOST_PIXELS,
    CameraColor,
    ImageSpec,
    Length,
    TensorSpec,
    YuvRange,
)

__all__ = [
    "DataTable",
    "HeadTable",
    "InputTable",
    "ModelTable",
    "StateTable",
    "TargetTable",
    "Text",
    "UseTable",
]

# Of states no name may be one of a graph's other inputs and outputs.
_TAKEN = ("image", "preprocessed", "output")
_NEW = ("next_", "output_")
Text = Annotated[str, Meta(min_length=1)]
# Names a class with `use`; the other keys are the fields of that class.
UseTable = Annotated[
    Mapping[str, object],
    Meta(extra_json_schema={"properties": {"use": {"type": "string"}}, "required": ["use"]}),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTable:
    """`[model.head]`: a layer of the factory's network that is replaced by a new one.

    Attributes:
        module: the path of the layer, such as "classifier.3".
        classes: how many outputs the new one has.
    """

    module: Text
    classes: Annotated[int, Meta(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTable:
    """`[[model.state]]`: what the network remembers from one picture to the next.

    Attributes:
        name: of the input of the graph; the output with what it becomes is `next_` and this name.
        shape: begins with 1; float32, zeros at the beginning of every film.
    """

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=60)]
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**20)], ...], Meta(min_length=2)]

    def __post_init__(self) -> None:
        if self.shape[0] != 1:
            raise ValueError(f"shape: must begin with 1, got {list(self.shape)!r}")
        if prod(self.shape) > MOST_PIXELS:
            rule = f"shape: must be of at most {MOST_PIXELS} numbers"
            raise ValueError(f"{rule}, got {list(self.shape)!r}")
        if self.name in _TAKEN or self.name.startswith(_NEW):
            rule = "name: must be none that graphs have anyway"
            raise ValueError(f"{rule}, got {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """`[model]`: where the network comes from.

    Attributes:
        factory: `module:function`, a `.py` file beside the recipe or an installed module.
        arguments: what the function is called with, by name.
        head: is replaced before the weights are loaded; absent where the factory's fits.
        weights: a file of weights, relative to the recipe; absent where the factory loads them.
        outputs: which of the network's outputs are taken, by their names, in this order; absent
            where it returns nothing else.
        state: what it takes after the picture, and returns anew after its other outputs, in the
            same order; absent where it remembers nothing.
    """

    factory: Text
    arguments: Mapping[str, object] = field(default_factory=dict)
    head: HeadTable | None = None
    weights: Text | None = None
    outputs: tuple[Text, ...] = ()
    state: tuple[StateTable, ...] = ()

    def __post_init__(self) -> None:
        for index, name in enumerate(self.outputs):
            if name in self.outputs[:index]:
                raise ValueError(f"outputs[{index}]: must be unique, got {name!r} again")
        names = [state.name for state in self.state]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f"state[{index}].name: must be unique, got {name!r} again")

    @property
    def states(self) -> tuple[TensorSpec, ...]:
        """The types of what the network remembers."""
        return tuple(
            TensorSpec(name=state.name, shape=state.shape, dtype="float32") for state in self.state
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTable:
    """`[input]`: the pictures that an application hands over.

    Attributes:
        size: `[height, width]` in pixels; absent where pictures of any size may come.
        color: the order of their channels; or "nv12" or "i420", the planes of a camera, BT.601.
        yuv_range: whether planes have brightness in 16..235, "limited", or in 0..255, "full".
        frames: how many pictures, one after the other, make the clip that the network takes; 1
            where it takes single ones.
    """

    size: tuple[Length, Length] | None = None
    color: CameraColor = "rgb"
    yuv_range: YuvRange = "limited"
    frames: Annotated[int, Meta(ge=1, le=LONGEST_CLIP)] = 1

    def __post_init__(self) -> None:
        if self.yuv_range == "full" and not self.image.is_planar:
            rule = "yuv_range: must be absent where color is neither 'nv12' nor 'i420'"
            raise RecipeError(f"{rule}, got {self.yuv_range!r}")
        if self.size is not None and self.image.is_planar and any(n % 2 for n in self.size):
            rule = f"size: must be even, both ways, for color {self.color!r}"
            raise RecipeError(f"{rule}, got {list(self.size)!r}")
        if self.size is not None and self.size[0] * self.size[1] > MOST_PIXELS:
            rule = f"must have at most {MOST_PIXELS} pixels"
            raise RecipeError(f"size: {rule}, got {list(self.size)!r}")

    @property
    def image(self) -> ImageSpec:
        """The type of these pictures; its `batch` is above 1 where they make clips."""
        height, width = self.size or (None, None)
        return ImageSpec(
            height=height,
            width=width,
            color=self.color,
            yuv_range=self.yuv_range,
            batch=self.frames,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """`[data]`: pictures, each table with `use` for a reader or with `factory` for code.

    Attributes:
        calibration: samples that int8 targets are calibrated on; labels are not needed.
        evaluation: labelled samples that a conversion is held to, and no training chooses by.
        training: samples that networks learn from.
        validation: labelled samples by which training and searches choose, apart from `evaluation`.
        fps: how many of either were taken in a second, where stages ask for the time.
    """

    calibration: Mapping[str, object] | None = None
    evaluation: Mapping[str, object] | None = None
    training: Mapping[str, object] | None = None
    validation: Mapping[str, object] | None = None
    fps: Annotated[float, Meta(gt=0, le=1e6)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """`[[target]]`: one format, in one or more precisions.

    Attributes:
        format: the name of the exporter.
        precision: each gives a variant.
        keep_float: patterns of module paths that int8 leaves in float, such as "features.0.*".
        options: the other keys, which are the exporter's own.
    """

    format: Text
    precision: Annotated[tuple[Precision, ...], Meta(min_length=1)]
    keep_float: tuple[Text, ...] = ()
    options: schema.Rest = field(default_factory=dict)

    def __post_init__(self) -> None:
        for precision in self.precision:
            if self.precision.count(precision) > 1:
                rule = "every entry must differ"
                raise ValueError(f"precision: {rule}, got {precision!r} more than once")
