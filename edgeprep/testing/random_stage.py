"""Checks of a stage that varies pictures for training."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces import RandomStage, Stage
from edgeprep.schema import show as show_value
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.random.draw import draw
from edgeprep.tensors import ImageSpec
from edgeprep.testing.arrivals import arrivals, before, camera_pictures, pictures, show
from edgeprep.testing.leaving import check_output, check_range, difference, output_of
from edgeprep.testing.rules import forbid_errors, require

__all__ = ["check_draws"]

# Enough for every way that few probabilities let a draw go.
SEEDS = range(8)

NUMPY = NumpyPrimitives()

InTorch = Callable[[Chain, NDArray[np.uint8]], NDArray[Any]]


def check_draws(
    what: str, stage: RandomStage, image: ImageSpec | None, in_torch: InTorch, tolerance: float
) -> None:
    """Check that a stage may stand under `[[augment]]`: see `check_stage`.

    Every draw must give pictures of the type that `output` says, alike in numpy and torch, and
    the same seed the same draw.

    Raises:
        ConformanceError: a rule is broken.
    """
    accepted = 0
    for arriving in arrivals(image):
        leaving = output_of(stage, arriving)
        if leaving is None:
            continue
        accepted += 1
        check_output(stage, arriving, leaving)
        camera, what = before(arriving), f"stage {stage.name!r} on {show(arriving)}: draw()"
        arrived, taken = pictures(arriving)[:1], camera_pictures(arriving)[:1]
        # Some stages draw the same for several seeds.
        for chain in dict.fromkeys(_draw(stage, arriving, leaving, seed) for seed in SEEDS):
            whole = Chain(input=camera.input, stages=(*camera.stages, *chain.stages))
            with forbid_errors(f"{what} must give stages that work in numpy and torch"):
                result, other = chain.apply(NUMPY, arrived), in_torch(whole, taken)
            _check_numbers(what, leaving, result, other, tolerance)
    require(accepted, f"{what}: must accept some kind of picture, got none; pass one as image")


def _draw(stage: RandomStage, arriving: ImageSpec, leaving: ImageSpec, seed: int) -> Chain:
    """What `stage` draws for a seed, found to be of the type that `output` promises."""
    what = f"stage {stage.name!r} on {show(arriving)}: draw()"
    with forbid_errors(f"{what} must work on what output() accepts"):
        drawn, again = (stage.draw(np.random.default_rng(seed), arriving) for _ in range(2))
    fixed = isinstance(drawn, tuple) and all(
        isinstance(each, Stage) and not each.training_only for each in drawn
    )
    require(
        fixed,
        f"{what} must give a tuple of stages that are not random, got {show_value(drawn)}",
    )
    # Pictures of a batch with the same draw go through it together.
    with forbid_errors(f"{what} must give hashable stages"):
        hash(drawn)
    require(
        drawn == again,
        f"{what} must be the same for a seed, got {drawn!r} and {again!r}; take all chance from "
        "the generator",
    )
    with forbid_errors(f"{what} must give stages that work one after the other"):
        chain = draw((stage,), np.random.default_rng(seed), arriving)
    require(
        chain.output == leaving,
        f"{what} must give pictures as output() says, {show(leaving)}, got {show(chain.output)}",
    )
    return chain


def _check_numbers(
    what: str, leaving: ImageSpec, result: NDArray[Any], other: NDArray[Any], tolerance: float
) -> None:
    require(
        result.shape == leaving.shape() and result.dtype.name == leaving.dtype,
        f"{what} must give {leaving.dtype} of shape {leaving.shape()}, as output() says, "
        f"got {result.dtype.name} of shape {result.shape}",
    )
    check_range(what, leaving, result, tolerance)
    apart = difference(other, result)
    require(
        apart <= tolerance,
        f"{what} must agree in torch and numpy to {tolerance:.2g}, got {apart:.2g}",
    )
