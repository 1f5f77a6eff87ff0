"""The zoo's model on its evaluation pictures: preprocessing in the graph, on the host, in torch."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import RECIPES
from benchmarks.figures import Figure
from benchmarks.preprocessing.graphs import FORMATS, Workshop, load
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.runtime.golden import relative_error
from edgeprep.stages.chain import Chain
from edgeprep.train import load_network

__all__ = ["agreement"]

MODEL = "digits-mobilenet"
# A camera has one size; nothing divides it.
CAMERA = (127, 111)
COUNT = 1000
LIMIT, LIMIT_LOGITS = 0.999, 1e-3


def agreement(bench: Workshop) -> Iterator[Figure]:
    """Top-1 answers that are the source's, and how far the scores of fused models are off."""
    recipe = load_recipe(RECIPES[MODEL])
    network = load_network(recipe.model, recipe.directory)
    camera = recipe.input.image.replace(height=CAMERA[0], width=CAMERA[1])
    chain = Chain.build(recipe.preprocess, input=camera, registry=default_registry())
    source = bench.source(chain, network)
    pictures = evaluation()
    expected = [source.run(picture[None]) for picture in pictures]
    host, rest = chain.cut("host")
    for engine in FORMATS:
        fused = load(engine, bench.export(engine, chain, network))
        split = load(engine, bench.export(engine, rest, network))
        answers = [fused.run((picture[None],)) for picture in pictures]
        error = max(map(relative_error, answers, expected))
        yield agreeing(f"top-1: {engine}, fused", answers, expected)
        yield agreeing(
            f"top-1: {engine}, host + model",
            [split.run((host.prepare(picture),)) for picture in pictures],
            expected,
        )
        name = f"scores: {engine}, fused, relative"
        yield Figure(name=name, value=error, limit=LIMIT_LOGITS)


def agreeing(
    name: str,
    answers: list[tuple[NDArray[Any], ...]],
    expected: list[tuple[NDArray[Any], ...]],
) -> Figure:
    same = [a[0].argmax() == b[0].argmax() for a, b in zip(answers, expected, strict=True)]
    return Figure(name=name, value=float(np.mean(same)), limit=LIMIT, rule="at least")


def evaluation() -> list[NDArray[np.uint8]]:
    """The evaluation pictures of the model's recipe, as one camera would take them."""
    sys.path.insert(0, str(RECIPES[MODEL].parent))
    try:
        import data
    finally:
        sys.path.pop(0)
    drawn = data.pictures("held-out", seed=data.EVALUATION_SEED, count=COUNT, size=CAMERA)
    return [picture for picture, _ in drawn]
