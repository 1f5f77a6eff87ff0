"""Variants as the budget wants them: made, and repaired where they lose too much."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from msgspec.structs import replace as replace_fields

from edgeprep.compress.sensitivity import Sensitivity
from edgeprep.conversion.keep_float import match_modules
from edgeprep.conversion.named_operators import modules_named_in
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.repair import Trial, Tried, repair
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.variants import MadeVariant, Oracle, make_variant, score_hints
from edgeprep.data import Progress
from edgeprep.errors import (
    BackendError,
    ConvertError,
    EdgePrepError,
    ExportError,
    OutputError,
    ParityError,
)
from edgeprep.interfaces import Placement
from edgeprep.recipe import Repair

__all__ = ["VariantMaker"]

# Faults of a quantized variant that another choice of layers may mend.
_MENDABLE = (BackendError, ExportError, OutputError, ParityError)
# Noise of a tenth of the outputs: networks keep their answers there, and lose them below. Only
# where the search begins depends on it.
_CLEAN_DB = 20.0
# A trial that loses so much on a part of the samples is not scored on the others. Of 256 samples
# with one answer in twenty changed, chance alone shifts an accuracy by 0.014.
_HOPELESS_TIMES, _HOPELESS_MARGIN = 4.0, 0.02
_NAMED = 3  # so many layers are named; the rest are counted
# Where the first trials all fail, as without samples to calibrate on, it is not for the layers.
_MOST_FAULTS = 6


@dataclass(slots=True, kw_only=True)
class VariantMaker:
    """Makes the variants of one network, one after the other; what one teaches serves the next.

    Attributes:
        plan: of the conversion.
        network: the compressed one.
        sources: by placement, of `network`.
        oracles: by placement.
        rank: the layers of the network; called when a variant has to be repaired.
        fine_tune: the network fine-tuned under simulated int8, as a source for a placement.
        progress: is told of every variant and of every trial.
    """

    plan: Plan
    network: torch.nn.Module
    sources: Mapping[Placement, NetworkSource]
    oracles: Mapping[Placement, Oracle]
    rank: Callable[[], Ranking]
    fine_tune: Callable[[Placement], NetworkSource]
    progress: Progress
    enough: tuple[str, ...] = field(default=(), init=False)
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def check(self) -> None:
        """Look for what patterns name, before the first export.

        Raises:
            RecipeError: a pattern matches nothing, or leaves nothing to quantize.
        """
        # All at once: a misspelt pattern of the last target need not wait for the first.
        for planned in self.plan.variants:
            patterns = {
                f"{planned.where}.keep_float": planned.keep_float,
                "quantize.keep_float": self.plan.recipe.quantize.keep_float,
            }
            self.kept[planned.name] = match_modules(self.network, patterns)

    def make(self, planned: PlannedVariant) -> MadeVariant:
        """The variant as it is planned; or repaired, where it is quantized and loses too much.

        One that cannot be repaired is given back as good as it could be made: whether that is good
        enough is for the budget gate to say.

        Raises:
            ExportError: the exporter failed.
            BackendError: the backend cannot run what was exported.
            ParityError: it does not compute what the source computes.
        """
        first = Trial(calibrator=planned.quantization.calibrator)
        if not planned.precision.startswith("int8"):
            with self.progress(planned.name) as done:
                made = self.once(planned, first)
                made = score_hints(planned, made, self.oracles[planned.placement])
                done(made.describe())
            return made
        trials = _Trials(maker=self, planned=planned)
        tried = trials.run(first)
        if tried.drop > self.max_drop and self.allowed:
            found = repair(
                trials.run,
                first=first,
                allowed=self.allowed,
                max_drop=self.max_drop,
                order=lambda: self._order(planned, tried.fault),
                guess=lambda: self._guess(tried.fault),
            )
            if found is not None:
                self.enough = found.trial.keep
        return trials.best()

    def once(self, planned: PlannedVariant, trial: Trial) -> MadeVariant:
        """The variant, quantized as `trial` says."""
        placement = planned.placement
        source = self.fine_tune(placement) if trial.fine_tuned else self.sources[placement]
        policy = replace_fields(planned.quantization, calibrator=trial.calibrator)
        source = source.keeping((*self.kept[planned.name], *trial.keep)).quantized_by(policy)
        made = make_variant(planned, source, self.oracles[placement], hopeless=self._hopeless)
        record = replace_fields(made.record, keep_float=trial.keep, calibrator=trial.calibrator)
        return replace(made, record=record)

    def _order(self, planned: PlannedVariant, fault: str) -> Sequence[str]:
        """The layers that may stay in float beside those that do so anyway.

        Those come first that compute what an engine complains of; then what was enough for the
        variant before, which is likely to be enough for this one.
        """
        kept = tuple(f"{path}." for path in self.kept[planned.name])
        order = dict.fromkeys((*self._named_in(fault), *self.enough, *self.rank().order))
        return [path for path in order if not f"{path}.".startswith(kept)]

    def _guess(self, fault: str) -> int:
        return len(self._named_in(fault)) or len(self.enough) or self.rank().enough

    def _named_in(self, fault: str) -> tuple[str, ...]:
        """The modules that compute an operator which `fault` names."""
        if not fault:
            return ()
        taken = next(iter(self.sources.values())).network_input
        return modules_named_in(fault, self.network, torch.zeros(taken.shape))

    @property
    def _hopeless(self) -> float:
        """A drop on a part of the samples that the others cannot make up for."""
        return _HOPELESS_TIMES * self.max_drop + _HOPELESS_MARGIN if self.allowed else math.inf

    @property
    def max_drop(self) -> float:
        """The largest loss; without a budget, none that can be measured is too large."""
        budget = self.plan.recipe.budget
        return budget.max_drop if budget else sys.float_info.max

    @property
    def allowed(self) -> tuple[Repair, ...]:
        """What may be done for a variant that is over it."""
        budget = self.plan.recipe.budget
        return budget.repair if budget else ("keep-float",)
