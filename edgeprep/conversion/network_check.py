"""What in a recipe's network is known to break int8, before anything is converted."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgeprep.conversion.decodable import check_decodable
from edgeprep.conversion.keep_float import match_modules
from edgeprep.conversion.killers import Finding, find_killers, observe
from edgeprep.conversion.plan import build_named
from edgeprep.conversion.score import run_all
from edgeprep.conversion.scratch import scratch_directory
from edgeprep.conversion.source import NetworkSource
from edgeprep.data import Prepared, Progress, build_reader, check_clips, prepare_samples, silent
from edgeprep.errors import EdgePrepError
from edgeprep.interfaces import Task
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.frames import Frames
from edgeprep.stages.chain import Chain
from edgeprep.train import load_network

__all__ = ["NetworkCheck", "check_network"]

# Enough for ranges to within a factor of two, which is what is asked of them.
_SAMPLES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCheck:
    """What was found in a network.

    Attributes:
        samples: how many ranges were measured on; with 0 only weights and constants were seen.
        findings: what int8 does not bear.
        fault: why nothing was looked at; "" where the network could be loaded.
    """

    samples: int = 0
    findings: tuple[Finding, ...] = ()
    fault: str = ""

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are no mere notes."""
        return tuple(finding for finding in self.findings if finding.level == "warning")

    def to_json(self) -> dict[str, object]:
        """As `edgeprep check --format json` prints it."""
        return {
            "samples": self.samples,
            "findings": [finding.to_json() for finding in self.findings],
            "fault": self.fault or None,
        }


def check_network(
    recipe: Recipe, *, registry: Registry | None = None, progress: Progress = silent
) -> NetworkCheck:
    """Look for what breaks int8 in the network of `recipe`, as it is before any compression.

    Ranges are those on 16 of its calibration samples, or else of its evaluation samples. A model
    or data that cannot be loaded are no error here, but the `fault` of what comes back.

    Args:
        recipe: names the model, the preprocessing and the data.
        registry: where plugins are looked up; None: the installed ones.
        progress: is told of every step.
    """
    registry = registry or default_registry()
    try:
        with progress("look into the network") as done:
            with (
                scratch_directory() as scratch,
                closing(Chain.of_recipe(recipe, registry)) as chain,
            ):
                found = _check(recipe, chain, registry, scratch)
            done(f"{len(found.findings)} found on {found.samples} samples")
    except EdgePrepError as fault:
        return NetworkCheck(fault=str(fault))
    return found


def _check(recipe: Recipe, chain: Chain, registry: Registry, scratch: Path) -> NetworkCheck:
    network = load_network(recipe.model, recipe.directory)
    _check_patterns(recipe, network)
    task: Task = build_named(registry, "task", recipe.task, "task")
    source, prepared = _source(recipe, chain, task, network, scratch)
    task.check_outputs(source.answers)
    if prepared is not None:
        first = prepared.some([0])
        check_decodable(task, run_all(source.answer, first), first)
    single, inputs, rows = source.one_input()
    samples = torch.from_numpy(inputs)
    batches = [samples[at : at + rows] for at in range(0, len(samples), rows)]
    observed = observe(single, source.example(), batches)
    return NetworkCheck(samples=observed.samples, findings=find_killers(observed))


def _check_patterns(recipe: Recipe, network: torch.nn.Module) -> None:
    """Refuse a keep_float that a conversion would refuse."""
    always = {"quantize.keep_float": recipe.quantize.keep_float}
    match_modules(network, always)
    # What a pass makes may have other modules.
    for index, target in enumerate(() if recipe.compress else recipe.target):
        match_modules(network, {f"target[{index}].keep_float": target.keep_float, **always})


def _source(
    recipe: Recipe, chain: Chain, task: Task, network: torch.nn.Module, scratch: Path
) -> tuple[NetworkSource, Prepared | None]:
    """The network with a few of the recipe's samples; without any, where it names none."""
    host, graph = chain.cut(chain.placements(recipe.placement)[0])
    inputs = np.empty((0, *graph.input.shape()[1:]), np.uint8)
    starts: tuple[int, ...] = ()
    prepared = None
    where = "data.calibration" if recipe.data.calibration else "data.evaluation"
    table = recipe.data.calibration or recipe.data.evaluation
    if table is not None:
        reader = build_reader(table, where)
        limit = getattr(reader, "limit", _SAMPLES)
        if limit is None or limit > _SAMPLES:
            # A reader that draws evenly from the classes does so for these few, too.
            reader = replace(reader, limit=_SAMPLES)  # type: ignore[type-var]
        samples = reader.open(directory=recipe.directory, where=where)
        frames = Frames.for_task(task, chain)
        prepared = prepare_samples(
            samples, host, where, fps=recipe.data.fps, frames=frames, tiling=task.tiling
        )
        states, count = recipe.model.states, recipe.input.frames
        check_clips(prepared, count, remembers=bool(states), where=where)
        inputs, starts = prepared.inputs[: _SAMPLES * count], prepared.starts
    source = NetworkSource(
        network, graph, inputs, scratch=scratch, states=recipe.model.states, starts=starts
    )
    return source, prepared
