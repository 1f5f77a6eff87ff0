"""The recipe's passes, one after the other; each result is kept, so that none is done twice."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from msgspec.structs import replace
from numpy import uint8
from numpy.typing import NDArray

from edgeprep.compress.shapes import load_compressed, save_compressed
from edgeprep.conversion.digests import (
    digest,
    digest_chain,
    digest_code,
    digest_data,
    digest_engines,
    digest_machine,
    digest_network,
)
from edgeprep.conversion.plan import Plan, place_fault
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.steps import Steps, keep_only
from edgeprep.conversion.workbench import RecipeWorkbench
from edgeprep.data import Progress
from edgeprep.errors import CheckpointError, ConvertError, EdgePrepError, RecipeError
from edgeprep.interfaces import Pass
from edgeprep.schema.foreign import name_fault
from edgeprep.train import TrainingData
from edgeprep.train.digests import digest_files

__all__ = ["Compression"]

_RESULT = "result.safetensors"
# Passes of the house that another choice of ranges changes nothing for.
_BLIND_TO_RANGES = ("distil", "prune", "sparsify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What all passes of one conversion share.

    Attributes:
        loaded: the network that the recipe's factory made, with its weights.
        plan: of the conversion.
        steps: where results lie.
        scratch: a directory that is gone when the conversion ends.
        image: a graph input, `(1, H, W, C)`, to measure latency with.
        wrap: a network as the source of exporters.
        describe: what has become of a network, in a few words.
        training: the recipe's training data; called when a pass asks for them.
        progress: is told of every pass.
    """

    loaded: torch.nn.Module
    plan: Plan
    steps: Steps
    scratch: Path
    image: NDArray[uint8]
    wrap: Callable[[torch.nn.Module], NetworkSource]
    describe: Callable[[NetworkSource], str]
    training: Callable[[], TrainingData]
    progress: Progress

    def run(self) -> torch.nn.Module:
        """The network after all passes of the recipe.

        Raises:
            ConvertError: a pass failed.
        """
        network = self.loaded
        for index, step in enumerate(self.plan.passes):
            network = self.apply(step, network, where=f"compress[{index}]")
        return network

    def apply(self, step: Pass, network: torch.nn.Module, *, where: str) -> torch.nn.Module:
        """`network` after one pass, done now or in a conversion before this one.

        Args:
            step: the pass.
            network: stays as it is.
            where: the path of the pass in the recipe, for messages.

        Raises:
            ConvertError: the pass failed.
        """
        source = self.wrap(network)
        with self.steps.open(self._key(step, network, source), self.scratch) as storage:
            kept = storage / _RESULT
            if kept.is_file():
                with suppress(CheckpointError), self.progress(step.name) as done:
                    result = load_compressed(deepcopy(self.loaded), kept).eval()
                    done(f"kept from before, {self.describe(self.wrap(result))}")
                    return result
            # Below it, for the pass may give a file of its own the name of the result.
            own = storage / "own"
            own.mkdir(exist_ok=True)
            bench = RecipeWorkbench(
                plan=self.plan,
                source=source,
                storage=own,
                image=self.image,
                rewrap=self.wrap,
                training=self.training,
                progress=self.progress,
            )
            result = _apply(step, deepcopy(network), bench, where)
            with self.progress(step.name) as done:
                done(self.describe(self.wrap(result)))
            _keep(result, self.loaded, kept)
        return result

    def _key(self, step: Pass, network: torch.nn.Module, source: NetworkSource) -> str:
        """The digest of all that the result of `step` depends on."""
        plan, recipe = self.plan, self.plan.recipe
        return digest(
            step=(step.name, repr(step)),
            code=digest_code((type(step), type(plan.task), *map(type, plan.augment))),
            files=digest_files(step.files(recipe.directory)),
            network=digest_network(network),
            data=digest_data(recipe),
            train=repr(recipe.train),
            chain=digest_chain(plan.chain),
            augment=repr(plan.augment),
            task=repr(plan.task),
            metric=plan.metric.name if plan.metric else None,
            # Speed is measured on it, in these engines.
            placement=plan.placements[0],
            engines=digest_engines((one.exporter, one.backend) for one in plan.variants),
            machine=digest_machine(),
            quantization=_read_by(step, source),
        )


def _read_by(step: Pass, source: NetworkSource) -> str:
    """What `step` reads of how networks are quantized: how ranges are chosen is for exporters."""
    policy = source.quantization
    if type(step).__module__.startswith("edgeprep.") and step.name in _BLIND_TO_RANGES:
        policy = replace(policy, calibrator="min-max", percentile=100.0)
    return repr((policy, source.keep_float))


def _apply(
    step: Pass, network: torch.nn.Module, bench: RecipeWorkbench, where: str
) -> torch.nn.Module:
    try:
        return step.apply(network, bench).eval().requires_grad_(requires_grad=False)
    except (RecipeError, ConvertError) as error:
        placed = place_fault(str(error), step, where)
        if placed is None:
            raise
        raise type(error)(placed) from error
    except EdgePrepError:
        raise
    except Exception as error:  # a pass is a plugin's code and may raise anything
        raise ConvertError(
            f"{where}: pass {step.name!r} must succeed, got {name_fault(error)}"
        ) from error


def _keep(network: torch.nn.Module, loaded: torch.nn.Module, path: Path) -> None:
    """Write `network` to `path`, alone, if a conversion could get it back from there."""
    save_compressed(network, path)
    try:
        rebuilt = load_compressed(deepcopy(loaded), path)
    except CheckpointError:
        rebuilt = None
    # A pass may give what no state dict holds, such as a module of another class.
    if rebuilt is None or repr(rebuilt) != repr(network):
        path.unlink()
    else:
        keep_only(path)
