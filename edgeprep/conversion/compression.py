"""The recipe's passes, one after the other; each result is kept, so that none is done twice."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy import uint8
from numpy.typing import NDArray

from edgeprep.compress.shapes import load_compressed, save_compressed
from edgeprep.conversion.noted import Noted
from edgeprep.conversion.passes import place_fault
from edgeprep.conversion.plan import Plan
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.step_keys import pass_key
from edgeprep.conversion.steps import Steps, keep_only
from edgeprep.conversion.workbench import RecipeWorkbench
from edgeprep.data import Progress
from edgeprep.errors import CheckpointError, ConvertError, EdgePrepError, RecipeError
from edgeprep.interfaces import Pass
from edgeprep.runtime.golden import relative_error
from edgeprep.schema.foreign import name_fault
from edgeprep.train import TrainingData

__all__ = ["Compression"]

_RESULT = "result.safetensors"
_WARNINGS = "warnings.json"
# Of the largest output: what one network may differ by from itself, in another order of sums.
_SAME = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What all passes of one conversion share.

    Attributes:
        loaded: the network that the recipe's factory made, with its weights.
        plan: of the conversion.
        steps: where results lie.
        scratch: a directory that is gone when the conversion ends.
        image: a graph input to measure latency with, `(1, H, W, C)`, or a clip.
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
        with self.steps.open(pass_key(self.plan, step, network, source), self.scratch) as storage:
            progress = Noted(self.progress, storage / _WARNINGS)
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
                progress=progress,
                where=where,
                rate_key=_rate_key(step, where),
            )
            result = _apply(step, deepcopy(network), bench, where)
            with self.progress(step.name) as done:
                done(self.describe(self.wrap(result)))
            self._keep(result, kept)
        return result

    def _keep(self, network: torch.nn.Module, path: Path) -> None:
        """Write `network` to `path`, alone, if a conversion could get it back from there."""
        save_compressed(network, path)
        # A pass may give what no state dict holds, such as a module of another class, or a number
        # that only `forward` reads.
        with suppress(CheckpointError, RecipeError):
            rebuilt = load_compressed(deepcopy(self.loaded), path).eval()
            ours, theirs = (self.wrap(one).answer(self.image) for one in (rebuilt, network))
            if repr(rebuilt) == repr(network) and relative_error(ours, theirs) < _SAME:
                keep_only(path, path.with_name(_WARNINGS))
                return
        path.unlink()


def _rate_key(step: Pass, where: str) -> str:
    """By which key of the recipe `step` learns more slowly; "" where none has a say."""
    if not hasattr(step, "learning_rate"):
        return "train.learning_rate"
    # What the budget repairs with is in no table.
    return f"{where}.learning_rate" if where.startswith("compress[") else ""


def _apply(
    step: Pass, network: torch.nn.Module, bench: RecipeWorkbench, where: str
) -> torch.nn.Module:
    try:
        return step.apply(network, bench).eval().requires_grad_(requires_grad=False)
    except EdgePrepError as error:
        placed = place_fault(str(error), step, where)
        if placed is None:
            raise
        raise type(error)(placed) from error
    except Exception as error:  # a pass is a plugin's code and may raise anything
        raise ConvertError(
            f"{where}: pass {step.name!r} must succeed, got {name_fault(error)}"
        ) from error
