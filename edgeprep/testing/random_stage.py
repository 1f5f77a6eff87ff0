"""Checks of a stage that varies pictures for training."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.draw import draw
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec
from edgeprep.testing.arrivals import arrivals, before, camera_pictures, pictures, show
from edgeprep.testing.rules import forbid_errors, require

__all__ = ["check_draws"]

# Enough for every way that few probabilities let a draw go.
SEEDS = range(8)

NUMPY = NumpyPrimitives()

InTorch = Callable[[Chain, NDArray[np.uint8]], NDArray[np.float32]]


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
        try:
            leaving = stage.output(arriving)
        except RecipeError:
            continue
        accepted += 1
        require(stage.output(arriving) == leaving, f"{what}: output() must always give the same")
        for seed in SEEDS:
            _check_draw(stage, arriving, leaving, seed, in_torch, tolerance)
    require(accepted, f"{what}: must accept some kind of picture, got none; pass one as image")


def _check_draw(
    stage: RandomStage,
    arriving: ImageSpec,
    leaving: ImageSpec,
    seed: int,
    in_torch: InTorch,
    tolerance: float,
) -> None:
    what = f"stage {stage.name!r} on {show(arriving)}: draw()"
    with forbid_errors(f"{what} must give stages that work one after the other"):
        drawn, again = (stage.draw(np.random.default_rng(seed), arriving) for _ in range(2))
        fixed = all(isinstance(each, Stage) and not each.training_only for each in drawn)
        require(fixed, f"{what} must give a tuple of stages that are not random, got {drawn!r}")
        chain = draw((stage,), np.random.default_rng(seed), arriving)
    require(
        drawn == again,
        f"{what} must be the same for a seed, got {drawn!r} and {again!r}; take all chance from "
        "the generator",
    )
    require(
        chain.output == leaving,
        f"{what} must give pictures as output() says, {show(leaving)}, got {show(chain.output)}",
    )
    with forbid_errors(f"{what} must give stages that work in numpy and torch"):
        result = chain.apply(NUMPY, pictures(arriving)[:1])
        camera = before(arriving)
        whole = Chain(input=camera.input, stages=(*camera.stages, *chain.stages))
        other = in_torch(whole, camera_pictures(arriving)[:1])
    require(
        result.shape == leaving.shape() and result.dtype.name == leaving.dtype,
        f"{what} must give {leaving.dtype} of shape {leaving.shape()}, as output() says, "
        f"got {result.dtype.name} of shape {result.shape}",
    )
    if leaving.range == "0..255":
        low, high = float(result.min()), float(result.max())
        require(
            -255 * tolerance <= low and high <= 255 * (1 + tolerance),
            f"{what} must keep values in 0..255, got {low:g} to {high:g}",
        )
    difference = float(np.abs(result.astype(np.float64) - other).max())
    limit = tolerance * max(1.0, float(np.abs(result).max()))
    require(
        difference <= limit,
        f"{what} must agree in torch and numpy to {limit:.2g}, got {difference:.2g}",
    )
