"""Checks of a stage: one definition, the same numbers in every interpreter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import InputError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.registry.offers import in_one_line
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec
from edgeprep.testing.arrivals import arrivals, before, camera_pictures, free, pictures, show
from edgeprep.testing.leaving import check_output, check_range, difference, output_of
from edgeprep.testing.random_stage import check_draws
from edgeprep.testing.rules import (
    ConformanceError,
    forbid_errors,
    require,
    require_value,
)

__all__ = ["check_stage"]

Interpreters = Mapping[str, Callable[[Chain, NDArray[np.uint8]], NDArray[Any]]]

# torch's own bilinear finds its pixels in float32, which is 0.005 grey levels off at a width of 301
# and up to a tenth at 3840.
TOLERANCE = 0.1 / 255

NUMPY = NumpyPrimitives()


def check_stage(
    stage: Stage, image: ImageSpec | None = None, *, tolerance: float = TOLERANCE
) -> None:
    """Check what a recipe, a device and an exporter rely on, on every kind of picture.

    Pictures of odd sizes in every colour order arrive as uint8, as float32 in 0..255 and in 0..1,
    normalized, and with channels first. Where `stage` does not refuse them, it must give what its
    `output` says, from numpy, torch and ONNX Runtime alike, and leave what it is given as it was.
    Of a `RandomStage`, what it draws is checked, in numpy and torch.

    Args:
        stage: the value to check; try one of each way in which its fields make it behave.
        image: the only kind of picture to try, of its size or, where that is free, of several.
        tolerance: between interpreters, relative to the largest value, or to 1 below that. The
            default is a tenth of one grey level of 255.

    Raises:
        ConformanceError: a rule is broken, or torch, onnx or onnxruntime is not installed.
    """
    what = require_value("stage", stage)
    interpreters = _interpreters(what)
    if isinstance(stage, RandomStage):
        check_draws(what, stage, image, interpreters["torch"], tolerance)
        return
    accepted = 0
    for arriving in arrivals(image):
        leaving = output_of(stage, arriving)
        if leaving is None:
            _check_refused_size(stage, arriving)
            continue
        accepted += 1
        case = _Case(stage, arriving, leaving)
        check_output(stage, arriving, leaving)
        expected = _check_numpy(case, tolerance)
        check_range(f"{case.what}: apply()", leaving, expected, tolerance)
        for name, run in interpreters.items():
            _check_interpreter(case, name, run, expected[: leaving.batch], tolerance)
    require(accepted, f"{what}: must accept some kind of picture, got none; pass one as image")


@dataclass(frozen=True)
class _Case:
    """A stage with one kind of picture that it accepts."""

    stage: Stage
    arriving: ImageSpec
    leaving: ImageSpec

    @property
    def what(self) -> str:
        return f"stage {self.stage.name!r} on {show(self.arriving)}"


def _interpreters(what: str) -> Interpreters:
    try:
        from edgeprep.testing._interpreters import INTERPRETERS
    except ImportError as fault:
        raise ConformanceError(
            f"{what}: must be compared in numpy, torch and ONNX Runtime, got {in_one_line(fault)}; "
            "pip install edgeprep[convert] onnxruntime"
        ) from fault
    return INTERPRETERS


def _check_refused_size(stage: Stage, image: ImageSpec) -> None:
    """Where pictures of any size may come, only `apply` sees one that is too small or large."""
    if output_of(stage, free(image)) is None:
        return
    what = f"stage {stage.name!r} on {show(image)}: apply()"
    rule = f"{what} must raise InputError, as output() refuses this size"
    try:
        stage.apply(NUMPY, pictures(image), free(image))
    except InputError:
        return
    except Exception as fault:
        raise ConformanceError(f"{rule}, got {in_one_line(fault)}") from fault
    raise ConformanceError(f"{rule}, got a result")


def _check_numpy(case: _Case, tolerance: float) -> NDArray[Any]:
    """The results for two pictures, found to be right in all that numpy alone can show."""
    what, stage, image = f"{case.what}: apply()", case.stage, case.arriving
    arrived = pictures(image)
    kept = arrived.copy()
    with forbid_errors(f"{what} must work in numpy"):
        both, again = (stage.apply(NUMPY, arrived, image) for _ in range(2))
        alone = [stage.apply(NUMPY, arrived[index : index + 1], image) for index in range(2)]
    require(
        np.array_equal(arrived, kept), f"{what} must not change what it is given, got it changed"
    )
    for result in alone:
        _check_type(case, result, "numpy")
    require(np.array_equal(both, again), f"{what} must give the same each time, got two results")
    apart = difference(both, np.concatenate(alone))
    require(
        apart <= tolerance,
        f"{what} must treat each picture of a batch alone, got a difference of {apart:.2g}",
    )
    if output_of(stage, free(image)) is not None:
        with forbid_errors(f"{what} must work where the size is free"):
            result = stage.apply(NUMPY, arrived, free(image))
        require(
            np.array_equal(result, both),
            f"{what} must give the same where the size is free, got another result",
        )
    return both


def _check_interpreter(
    case: _Case,
    name: str,
    run: Callable[[Chain, NDArray[np.uint8]], NDArray[Any]],
    expected: NDArray[Any],
    tolerance: float,
) -> None:
    what = f"{case.what}: apply()"
    prepare = before(case.arriving)
    chain = Chain(input=prepare.input, stages=(*prepare.stages, case.stage))
    with forbid_errors(f"{what} must work in {name}"):
        result = run(chain, camera_pictures(case.arriving)[:1])
    _check_type(case, result, name)
    apart = difference(result, expected)
    require(
        apart <= tolerance,
        f"{what} must agree in {name} and numpy to {tolerance:.2g}, got {apart:.2g}",
    )


def _check_type(case: _Case, result: object, interpreter: str) -> None:
    leaving = case.leaving
    rule = (
        f"{case.what}: apply() must give finite {leaving.dtype} of shape {leaving.shape()} "
        f"in {interpreter}, as output() says"
    )
    require(isinstance(result, np.ndarray), f"{rule}, got {type(result).__name__}")
    array = np.asarray(result)
    require(
        array.shape == leaving.shape() and array.dtype.name == leaving.dtype,
        f"{rule}, got {array.dtype.name} of shape {array.shape}",
    )
    require(np.isfinite(array).all(), f"{rule}, got NaN or infinity")
