"""Checks of a stage: one definition, the same numbers in every interpreter."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from msgspec import to_builtins
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.registry.offers import in_one_line
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.scale import Scale
from edgeprep.tensors import Color, ImageSpec
from edgeprep.testing.rules import forbid_errors, relative_difference, require, require_class

__all__ = ["check_stage"]

# One pixel, odd sizes both ways, and one that most crops fit into: (height, width).
SIZES = ((1, 1), (5, 3), (33, 46), (259, 301))
COLORS: tuple[Color, ...] = ("rgb", "bgr", "grey")
BOUNDS = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "normalized": (-np.inf, np.inf)}

# torch's own bilinear finds its pixels in float32, which is 0.005 grey levels off at a width of 301
# and up to a tenth at 3840.
TOLERANCE = 0.1 / 255

NUMPY = NumpyPrimitives()


def check_stage(
    stage: Stage, *, sizes: Sequence[tuple[int, int]] = SIZES, tolerance: float = TOLERANCE
) -> None:
    """Check what a recipe, a device and an exporter rely on, on every kind of picture.

    Pictures of `sizes` in every colour order arrive as uint8, as float32 in 0..255 and in 0..1,
    normalized, and with channels first. Where `stage` does not refuse them, it must give what its
    `output` says, from numpy, torch and ONNX alike, and leave what it is given as it was.

    Args:
        stage: the value to check; try one of each way in which its fields make it behave.
        sizes: of the pictures, `(height, width)`.
        tolerance: between interpreters, relative to the largest value. The default is a tenth
            of one grey level of 255.

    Raises:
        AssertionError: a rule is broken.
    """
    require_class("stage", type(stage))
    _check_value(stage)
    accepted = [before for before in _arrivals(sizes) if _accepts(stage, before.output)]
    require(
        accepted,
        f"stage {stage.name!r}: must accept pictures of some kind, got all of them refused",
    )
    for before in accepted:
        _check_output(stage, before.output)
        _check_numbers(stage, before, tolerance)


def _check_value(stage: Stage) -> None:
    what = f"stage {stage.name!r}"
    with forbid_errors(f"{what}: must be hashable"):
        hash(stage)
    with forbid_errors(f"{what}: must be built again from its own fields"):
        again = build(type(stage), to_builtins(stage), "stage")
    require(again == stage, f"{what}: must equal what its fields build, got {again!r}")


def _arrivals(sizes: Sequence[tuple[int, int]]) -> Iterator[Chain]:
    """Chains that turn uint8 pictures into every kind that can arrive at a stage."""
    for height, width in sizes:
        for color in COLORS:
            image = ImageSpec(height=height, width=width, color=color)
            middle = (0.5,) * image.channels
            starts: list[tuple[Stage, ...]] = [
                (),
                (DType(),),
                (Scale(),),
                (Normalize(mean=middle, std=middle),),
                (DType(), Layout(to="nchw")),
            ]
            for stages in starts:
                yield Chain(input=image, stages=stages)


def _accepts(stage: Stage, image: ImageSpec) -> bool:
    try:
        stage.output(image)
    except RecipeError:
        return False
    except Exception as fault:
        rule = f"stage {stage.name!r}: output() must refuse pictures by a RecipeError"
        raise AssertionError(f"{rule}, got {in_one_line(fault)} for {image}") from fault
    return True


def _check_output(stage: Stage, image: ImageSpec) -> None:
    what = f"stage {stage.name!r}: output()"
    output = stage.output(image)
    require(
        isinstance(output, ImageSpec) and output.is_fixed,
        f"{what} must give an ImageSpec of a fixed size for pictures of one, got {output!r}",
    )
    again = stage.output(image)
    require(again == output, f"{what} must always give the same, got {output} and {again}")
    free = replace(image, height=None, width=None)
    if _accepts(stage, free):
        promised = stage.output(free)
        kept = replace(
            output,
            height=output.height if promised.height else None,
            width=output.width if promised.width else None,
        )
        rule = f"{what} must promise for a free size what it gives for {image}"
        require(promised == kept, f"{rule}, got {promised} and {output}")


def _check_numbers(stage: Stage, before: Chain, tolerance: float) -> None:
    image = before.output
    what = f"stage {stage.name!r} on {image}"
    pictures = np.random.default_rng(0).integers(0, 256, before.input.shape(2), np.uint8)
    arrived = before.apply(NUMPY, pictures)
    kept = arrived.copy()
    with forbid_errors(f"{what}: apply() must work in numpy"):
        both = stage.apply(NUMPY, arrived, image)
        first = stage.apply(NUMPY, arrived[:1], image)
    require(np.array_equal(arrived, kept), f"{what}: apply() must not change what it is given")
    _check_result(stage, first, image, "numpy")
    require(
        both.shape[0] == 2 and np.array_equal(both[:1], first),
        f"{what}: a picture's result must not depend on the others in its batch",
    )
    low, high = BOUNDS[stage.output(image).range]
    slack = tolerance * max(1.0, high) if np.isfinite(high) else 0.0
    require(
        low - slack <= first.min() and first.max() <= high + slack,
        f"{what}: values must stay in {stage.output(image).range}, "
        f"got {first.min()} to {first.max()}",
    )
    whole = Chain(input=before.input, stages=(*before.stages, stage))
    for name, run in (("torch", _in_torch), ("ONNX", _in_onnx)):
        with forbid_errors(f"{what}: apply() must work in {name}"):
            result = run(whole, pictures[:1])
        _check_result(stage, result, image, name)
        difference = relative_difference(result, first)
        require(
            difference <= tolerance,
            f"{what}: {name} must agree with numpy to {tolerance:g}, got {difference:.2g}",
        )


def _check_result(stage: Stage, result: object, image: ImageSpec, interpreter: str) -> None:
    output = stage.output(image)
    rule = (
        f"stage {stage.name!r} on {image}: apply() in {interpreter} must give finite "
        f"{output.dtype} of shape {output.shape()}, as output() says"
    )
    require(isinstance(result, np.ndarray), f"{rule}, got {type(result).__name__}")
    array: NDArray[Any] = np.asarray(result)
    require(
        array.shape == output.shape() and array.dtype.name == output.dtype,
        f"{rule}, got {array.dtype.name} of shape {array.shape}",
    )
    require(np.isfinite(array).all(), f"{rule}, got NaN or infinity")


def _in_torch(chain: Chain, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    with torch.no_grad():
        result: NDArray[Any] = ChainModule(chain)(torch.from_numpy(pictures)).numpy()
    return result


def _in_onnx(chain: Chain, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    # onnx's own evaluator: a plugin's author need not have an engine.
    outputs: Any = ReferenceEvaluator(build_onnx(chain)).run(None, {"image": pictures})
    return np.asarray(outputs[0])
