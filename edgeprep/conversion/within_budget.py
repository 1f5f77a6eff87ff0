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
from edgeprep.conversion.progress import Progress
from edgeprep.conversion.repair import Trial, Tried, repair
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.variants import MadeVariant, Oracle, make_variant, score_hints
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The layers of a network in the order in which they are put back into float.

    Attributes:
        order: module paths; those first that are thought to be enough.
        enough: how many of them simulated int8 needs for a clean output.
    """

    order: tuple[str, ...] = ()
    enough: int = 1

    @classmethod
    def of(cls, found: Sensitivity) -> "Ranking":
        """By what each layer costs alone, and which ones together bring the signal back."""
        costs = [layer.path for layer in found.layers]
        needed = found.fewest(_CLEAN_DB) or ()
        return cls(order=tuple(dict.fromkeys((*needed, *costs))), enough=len(needed) or 1)

    def describe(self) -> str:
        """The head of the order, for people."""
        if not self.order:
            return "no layer can be kept in float"
        named = ", ".join(map(repr, self.order[:_NAMED]))
        return f"{len(self.order)} layers, first {named}"


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


@dataclass(slots=True, kw_only=True)
class _Trials:
    """The trials of one variant. One made variant is held, the best: models may be large."""

    maker: VariantMaker
    planned: PlannedVariant
    tried: list[Tried] = field(default_factory=list)
    held: tuple[Tried, MadeVariant] | None = None
    fault: EdgePrepError | None = None

    def run(self, trial: Trial) -> Tried:
        """Make the variant, quantized as `trial` says."""
        title = self.planned.name if not self.tried else f"{self.planned.name}, {trial}"
        with self.maker.progress(title) as done:
            try:
                made = self.maker.once(self.planned, trial)
            except _MENDABLE as error:
                tried = Tried(trial=trial, fault=str(error))
                self._count(error)
                done(f"over budget: {error}")
            else:
                tried = _what_came(trial, made)
                over = "over budget: " if tried.drop > self.maker.max_drop else ""
                done(f"{over}{made.describe()}")
                if self.held is None or self._rank(tried) < self._rank(self.held[0]):
                    self.held = tried, made
        self.tried.append(tried)
        return tried

    def best(self) -> MadeVariant:
        """The variant that keeps the budget with the fewest layers in float, or comes nearest."""
        if self.held is None:
            raise self.fault or ConvertError(f"{self.planned.name}: must be tried, got no trial")
        tried, made = self.held
        if tried.drop <= self.maker.max_drop:
            oracle = self.maker.oracles[self.planned.placement]
            made = score_hints(self.planned, made, oracle)
        return replace(made, trials=tuple(self.tried))

    def _rank(self, tried: Tried) -> tuple[bool, float, float]:
        """What is less is better."""
        over = tried.drop > self.maker.max_drop
        return over, tried.drop if over else len(tried.trial.keep), tried.drop

    def _count(self, fault: EdgePrepError) -> None:
        """Give up where no trial has an effect; the first fault is the one to tell of."""
        self.fault = self.fault or fault
        most = _MOST_FAULTS if self.maker.allowed else 1
        if self.held is None and len(self.tried) + 1 >= most:
            raise self.fault


def _what_came(trial: Trial, made: MadeVariant) -> Tried:
    record, metric = made.record, made.record.metric
    return Tried(
        trial=trial,
        value=metric.value if metric else None,
        drop=metric.drop if metric else 0.0,
        size_bytes=record.size_bytes,
        latency_ms=made.latency_ms,
        samples=metric.samples if metric else 0,
    )
