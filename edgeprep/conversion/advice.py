"""What a recipe's preprocessing costs on this machine, and which order or place costs less."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.graph_cost import GraphBench
from edgeprep.conversion.stage_cost import Advice, StageCost
from edgeprep.conversion.torch_cache import torch_cache_in
from edgeprep.data import Progress, silent
from edgeprep.errors import EdgePrepError, RecipeError
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.requirements import limit_pixels
from edgeprep.stages.walk import walk
from edgeprep.tensors import LONGEST_SIDE, ImageSpec
from edgeprep.train import build_augment

__all__ = ["Advice", "StageCost", "advise", "warn_of_places"]

# What PREPROCESSING asks of a filter at the size of a network, in milliseconds.
_BUDGET_MS = 3.0
# What is quicker than this in numpy is not worth an export to measure it in graphs.
_WORTH_MS = 1.0
# Another order is worth a word if it saves so much, and so many times as much.
_SAVES_MS, _SAVES_TIMES = 1.0, 2.0
_CAMERA = (720, 1280)


def advise(
    recipe: Recipe,
    *,
    size: tuple[int, int] | None = None,
    registry: Registry | None = None,
    progress: Progress = silent,
) -> Advice:
    """Measure the preprocessing of `recipe`, stage by stage, where it would run.

    Args:
        recipe: its model and data are not touched.
        size: `(height, width)` of the camera; None: the recipe's, or 720 × 1280 where that is free.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.

    Raises:
        RecipeError: the preprocessing is wrong, or no picture of that size goes through it; or
            the stages for training are wrong.
    """
    registry = registry or default_registry()
    with closing(Chain.of_recipe(recipe, registry)) as chain:
        build_augment(recipe.augment, chain=chain, registry=registry)
        return _advise(recipe, chain, _at_size(chain, *_size(chain, size)), registry, progress)


def _size(chain: Chain, asked: tuple[int, int] | None) -> tuple[int, int]:
    """`(height, width)` of the pictures to measure with."""
    known = (chain.input.height, chain.input.width)
    height, width = asked or tuple(a or b for a, b in zip(known, _CAMERA, strict=True))
    if any(a not in (None, b) for a, b in zip(known, (height, width), strict=True)):
        rule = f"size: must be {list(known)!r}, as input.size of the recipe says"
        raise RecipeError(f"{rule}, got {[height, width]!r}; leave size out, or input.size")
    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        rule = f"size: must be 1 to {LONGEST_SIDE} pixels high and wide"
        raise RecipeError(f"{rule}, got {[height, width]!r}")
    limit_pixels("size: must have", height, width)
    return height, width


def _advise(
    recipe: Recipe, chain: Chain, fixed: Chain, registry: Registry, progress: Progress
) -> Advice:
    """What `fixed`, which is `chain` for pictures of one size, costs."""
    height, width = fixed.input.size
    with progress("measure every stage in numpy") as done:
        times = _numpy_ms(fixed)
        done(f"{sum(times):.1f} ms in all at {height}×{width}")
    host, graph = chain.cut(chain.placements(recipe.placement)[0])
    first = len(host.stages)
    # From the end: a conversion to float32 may have been put before the others.
    start = len(graph.stages) - len(chain.stages)
    worth = (index for index in range(first, len(times)) if times[index] >= _WORTH_MS)
    formats = dict.fromkeys(target.format for target in recipe.target)
    places = {index: start + index for index in worth}
    graphs = _measure_graphs(formats, graph, places, registry, progress)
    costs = [
        StageCost(
            name=f"{stage.name}@{stage.version}",
            place="host" if index < first else "graph",
            height=image.size[0],
            width=image.size[1],
            numpy_ms=times[index],
            graph_ms=graphs.ms.get(index, {}),
            unmeasured=graphs.failed.get(index, {}),
        )
        for index, (stage, image) in enumerate(zip(fixed.stages, fixed.images, strict=False))
    ]
    warnings = [*_orders(fixed, times), *warn_of_places(costs, range(first, _on_host(chain)))]
    return Advice(
        size=(height, width),
        costs=tuple(costs),
        warnings=tuple(warnings),
        unmeasured=graphs.unmeasured,
    )


def _at_size(chain: Chain, height: int, width: int) -> Chain:
    try:
        return Chain(input=chain.input.replace(height=height, width=width), stages=chain.stages)
    except RecipeError as error:
        raise RecipeError(f"{error}, for pictures of {height}×{width}") from error


def _on_host(chain: Chain) -> int:
    """How many stages placement "host" runs on the host; 0 where it is impossible."""
    try:
        return len(chain.cut("host")[0].stages)
    except RecipeError:
        return 0


def _numpy_ms(chain: Chain) -> list[float]:
    return [step.ms or 0.0 for step in walk(chain, _noise(chain.input)[0])[1:]]


def _noise(image: ImageSpec) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, image.shape(), dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graphs:
    """What graphs cost, filled as they are measured: by stage and format, and what could not be."""

    ms: dict[int, dict[str, float]] = field(default_factory=dict)
    failed: dict[int, dict[str, str]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)


def _measure_graphs(
    formats: Iterable[str],
    graph: Chain,
    places: Mapping[int, int],
    registry: Registry,
    progress: Progress,
) -> _Graphs:
    """Time some stages in `graph` in each format.

    Args:
        formats: each once.
        graph: what of the preprocessing is in the graph.
        places: where the stages to be timed stand in `graph`, by their place in the recipe.
        registry: where plugins are looked up.
        progress: is told of every stage.
    """
    found = _Graphs()
    with TemporaryDirectory(prefix="edgeprep-") as name, torch_cache_in(scratch := Path(name)):
        for format_ in formats if places else ():
            try:
                bench = GraphBench(format_, graph, registry, scratch)
            except EdgePrepError as error:
                found.unmeasured[format_] = str(error)
                continue
            for index, place in places.items():
                with progress(f"measure {graph.stages[place].name} in {format_}") as done:
                    try:
                        ms = bench.measure(place)
                    except EdgePrepError as error:
                        found.failed.setdefault(index, {})[format_] = str(error)
                        done(f"not measured: {error}")
                        continue
                    found.ms.setdefault(index, {})[format_] = ms
                    done(f"{ms:.2f} ms")
    return found


def _orders(chain: Chain, times: Sequence[float]) -> list[str]:
    """Stages that work on more pixels than they would need to."""
    warnings = []
    for index, stage in enumerate(chain.stages):
        later = _next_shrink(chain, index)
        if later is None or times[index] < _SAVES_MS:
            continue
        order = [*chain.stages[:index], *chain.stages[index + 1 : later + 1], stage]
        try:
            moved = Chain(input=chain.input, stages=(*order, *chain.stages[later + 1 :]))
        except RecipeError:
            continue  # the order is what makes it possible
        then = _numpy_ms(moved)[later]
        if times[index] - then >= _SAVES_MS and times[index] >= _SAVES_TIMES * then:
            shrink = chain.stages[later].name
            sizes = ["×".join(map(str, chain.images[at].size)) for at in (index, later + 1)]
            warnings.append(
                f"preprocess[{index}]: {stage.name} before {shrink} takes {times[index]:.1f} ms at "
                f"{sizes[0]}, after it {then:.1f} ms at {sizes[1]} (numpy); the pictures are not "
                "the same: train with the order that runs"
            )
    return warnings


def _next_shrink(chain: Chain, index: int) -> int | None:
    """The first stage after `index` that halves the number of pixels, if `index` keeps it."""
    pixels = [image.batch * image.size[0] * image.size[1] for image in chain.images]
    if pixels[index + 1] != pixels[index]:
        return None
    return next(
        (at for at in range(index + 1, len(chain.stages)) if 2 * pixels[at + 1] <= pixels[at]), None
    )


def warn_of_places(costs: Sequence[StageCost], movable: Sequence[int]) -> list[str]:
    """Stages that are slow where they are, one sentence each.

    Args:
        costs: one a stage.
        movable: the stages that placement "host" would take out of the graph.
    """
    warnings = []
    for index, cost in enumerate(costs):
        slow = {name: ms for name, ms in cost.graph_ms.items() if ms > _BUDGET_MS}
        if not slow:
            continue
        graphs = " and ".join(f"{ms:.1f} ms in the {name} graph" for name, ms in slow.items())
        quicker = index in movable and cost.numpy_ms < min(slow.values())
        remedy = "; placement = 'host' takes it out of the graph" if quicker else ""
        warnings.append(
            f"preprocess[{index}]: {cost.name.partition('@')[0]} takes {graphs} at "
            f"{cost.height}×{cost.width}, and {cost.numpy_ms:.1f} ms on the host in "
            f"numpy{remedy}"
        )
    return warnings
