"""Golden samples: pictures of the evaluation data, and what the network answered to them."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from edgeprep.conversion.plan import build_named
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.source import NetworkSource
from edgeprep.data import build_reader, prepare_each
from edgeprep.errors import StorageError
from edgeprep.files import atomic_write, open_regular
from edgeprep.interfaces import Task
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry
from edgeprep.runtime.golden import relative_error
from edgeprep.schema.foreign import name_fault
from edgeprep.stages.chain import Chain
from edgeprep.train import load_network
from edgeprep.zoo.models import ZooModel

__all__ = ["GOLDEN", "GoldenSample", "make_golden", "read_golden", "worst_error", "write_golden"]

GOLDEN = "golden.safetensors"
# From one it cannot be seen whether the network sees its input.
_LEAST, _MOST = 2, 4
# A zoo has a few MB in all; of pictures that become pictures fewer do.
_MOST_BYTES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenSample:
    """One sample.

    Attributes:
        input: `(1, H, W, C)`, uint8, after the host's share of the preprocessing; of a clip
            `(frames, H, W, C)`.
        outputs: of the network, of a clip those for all of it.
    """

    input: NDArray[np.uint8]
    outputs: tuple[NDArray[Any], ...]


def make_golden(recipe: Recipe, registry: Registry) -> tuple[GoldenSample, ...]:
    """The first samples of the evaluation data of `recipe`, and what its network answers.

    Raises:
        RecipeError: the recipe breaks a rule.
        CheckpointError: the weights do not fit.
        DataError: the data cannot be used.
    """
    where = "data.evaluation"
    reader = build_reader(recipe.data.evaluation or {}, where)
    samples = reader.open(directory=recipe.directory, where=where)
    made: list[GoldenSample] = []
    with _opened(recipe, registry) as (host, source):
        rows = prepare_each(samples, host, where, fps=recipe.data.fps)
        for row in islice(rows, _MOST):
            sample = GoldenSample(input=row.input, outputs=source.answer(row.input))
            if len(made) >= _LEAST and _size(*made, sample) > _MOST_BYTES:
                break
            made.append(sample)
    return tuple(made)


def worst_error(recipe: Recipe, golden: Sequence[GoldenSample], registry: Registry) -> float:
    """The largest error of the recipe's network on `golden`, relative as its task compares.

    Raises: see `make_golden`.
    """
    task: Task = build_named(registry, "task", recipe.task, "task")
    with _opened(recipe, registry) as (_, source):
        return max(relative_error(source.answer(one.input), one.outputs, task) for one in golden)


def write_golden(directory: Path, golden: Sequence[GoldenSample]) -> None:
    """Write the golden samples of the model in `directory`.

    Raises:
        StorageError: they cannot be written.
    """
    arrays = {}
    for index, sample in enumerate(golden):
        arrays[f"{index}.input"] = sample.input
        for place, output in enumerate(sample.outputs):
            arrays[f"{index}.output.{place}"] = np.ascontiguousarray(output)
    atomic_write(directory / GOLDEN, [safetensors.numpy.save(arrays)], overwrite=True)


def read_golden(model: ZooModel) -> tuple[GoldenSample, ...]:
    """The golden samples of `model`.

    Raises:
        StorageError: there are none, or the file is damaged.
    """
    path = model.directory / GOLDEN
    with open_regular(path) as stream:
        content = stream.read()
    try:
        arrays = safetensors.numpy.load(content)
        # By their places, as there are fewer than ten of each.
        samples = [
            GoldenSample(
                input=arrays[name],
                outputs=tuple(arrays[key] for key in sorted(arrays) if _is_of(key, name)),
            )
            for name in sorted(arrays)
            if name.endswith(".input")
        ]
    except Exception as error:  # safetensors lets out errors of many kinds on damaged files
        rule = f"{path}: must be a safetensors file"
        raise StorageError(f"{rule}, got {name_fault(error)}") from error
    if not samples:
        raise StorageError(f"{path}: must hold golden samples, got none")
    return tuple(samples)


def _is_of(key: str, name: str) -> bool:
    return key.startswith(f"{name.removesuffix('input')}output.")


def _size(*samples: GoldenSample) -> int:
    return sum(one.input.nbytes + sum(out.nbytes for out in one.outputs) for one in samples)


@contextmanager
def _opened(recipe: Recipe, registry: Registry) -> Iterator[tuple[Chain, NetworkSource]]:
    """The host's share of a recipe's preprocessing, and its network behind the rest."""
    network = load_network(recipe.model, recipe.directory)
    with scratch_directory() as scratch, closing(Chain.of_recipe(recipe, registry)) as chain:
        host, graph = chain.cut(chain.placements(recipe.placement)[0])
        none = np.empty((0, *graph.input.shape()[1:]), np.uint8)
        states = recipe.model.states
        yield host, NetworkSource(network, graph, none, scratch=scratch, states=states)
