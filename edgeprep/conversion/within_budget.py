"""Variants as the budget wants them: made, and repaired where they lose too much."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from msgspec.structs import replace as replace_fields

from edgeprep.conversion.keep_float import match_modules
from edgeprep.conversion.named_operators import modules_named_in
from edgeprep.conversion.plan import Plan, PlannedVariant
from edgeprep.conversion.ranking import Ranking
from edgeprep.conversion.repair import Trial, Tried, repair
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.trials import Trials
from edgeprep.conversion.variants import MadeVariant, Oracle, make_variant, score_hints
from edgeprep.data import Progress
from edgeprep.errors import ConvertError
from edgeprep.interfaces import CALIBRATED, Placement
from edgeprep.recipe import Repair

__all__ = ["VariantMaker"]

# A trial that loses so much on a part of the samples is not scored on the others. Of 256 samples
# with one answer in twenty changed, chance alone shifts an accuracy by 0.014.
_HOPELESS_TIMES, _HOPELESS_MARGIN = 4.0, 0.02
# What parity is measured against where the network was fine-tuned for a variant.
_FINE_TUNED = "fine-tuned source"


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
        keep: an existing directory for what is known of a variant, which outlives a kill.
        tried: filled with the trials of each quantized variant, by its name, as they are done.
        progress: is told of every variant and of every trial.
    """

    plan: Plan
    network: torch.nn.Module
    sources: Mapping[Placement, NetworkSource]
    oracles: Mapping[Placement, Oracle]
    rank: Callable[[], Ranking]
    fine_tune: Callable[[Placement], NetworkSource]
    keep: Callable[[PlannedVariant], AbstractContextManager[Path]]
    tried: dict[str, list[Tried]]
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
        allowed = self._allowed(planned)
        with self.keep(planned) as storage:
            trials = Trials(
                name=planned.name,
                make=lambda trial: self.once(planned, trial, hopeless=self._hopeless(planned)),
                max_drop=self.max_drop,
                may_repair=bool(allowed),
                path=storage / "trials.json",
                progress=self.progress,
            )
            self.tried[planned.name] = trials.tried
            tried = trials.run(first)
            if tried.drop > self.max_drop and allowed:
                self._repair(planned, tried, trials, allowed)
            made = trials.best()
        metric = made.record.metric
        if metric is not None and metric.drop <= self.max_drop:
            made = score_hints(planned, made, self._oracle(planned, made.trial))
        return made

    def _repair(
        self, planned: PlannedVariant, tried: Tried, trials: Trials, allowed: Sequence[Repair]
    ) -> None:
        # The gates' own messages have words like "half" that are operators of torch, too.
        fault = tried.fault if tried.is_refused else ""
        found = repair(
            trials.run,
            first=tried,
            allowed=allowed,
            max_drop=self.max_drop,
            order=lambda: self._order(planned, fault),
            guess=lambda: len(self._named_in(fault)) or len(self.enough) or self._rank().enough,
        )
        if found is not None:
            self.enough = found.trial.keep

    def once(
        self, planned: PlannedVariant, trial: Trial, *, hopeless: float = float("inf")
    ) -> MadeVariant:
        """The variant, quantized as `trial` says.

        Args:
            planned: the variant.
            trial: how it is quantized.
            hopeless: a drop on a part of the samples at which the others are not looked at.

        Raises:
            EdgePrepError: as `make`, or as fine-tuning does.
        """
        placement, kept = planned.placement, self.kept[planned.name]
        source = self.fine_tune(placement) if trial.fine_tuned else self.sources[placement]
        policy = replace_fields(planned.quantization, calibrator=trial.calibrator)
        source = source.keeping((*kept, *trial.keep)).quantized_by(policy)
        made = make_variant(planned, source, self._oracle(planned, trial), hopeless=hopeless)
        if planned.precision.startswith("int8"):
            record = replace_fields(
                made.record,
                keep_float=tuple(dict.fromkeys((*kept, *trial.keep))),
                calibrator=trial.calibrator if planned.precision in CALIBRATED else "",
                fine_tuned=trial.fine_tuned,
            )
            if trial.fine_tuned:
                parity = replace_fields(record.parity, reference=_FINE_TUNED)
                record = replace_fields(record, parity=parity)
            made = replace(made, record=record, trial=trial)
        return made

    def _oracle(self, planned: PlannedVariant, trial: Trial) -> Oracle:
        """What a trial is held to: fine-tuning makes another network, with the score to beat."""
        oracle = self.oracles[planned.placement]
        if not trial.fine_tuned:
            return oracle
        source = self.fine_tune(planned.placement)
        return replace(
            oracle,
            expected=[source.run(*feed) for feed in oracle.inputs],
            clips=[(clip, source.answer(clip)) for clip, _ in oracle.clips],
        )

    def _order(self, planned: PlannedVariant, fault: str) -> Sequence[str]:
        """The layers that may stay in float beside those that do so anyway.

        Those come first that compute what an engine complains of; then what was enough for the
        variant before, which is likely to be enough for this one.
        """
        kept = tuple(f"{path}." for path in self.kept[planned.name])
        order = dict.fromkeys((*self._named_in(fault), *self.enough, *self._rank().order))
        return [path for path in order if not f"{path}.".startswith(kept)]

    def _rank(self) -> Ranking:
        """The layers by their costs; none where the network cannot be simulated."""
        try:
            return self.rank()
        except ConvertError:
            # Its step has said so; other ways to repair are left.
            return Ranking()

    def _named_in(self, fault: str) -> tuple[str, ...]:
        """The modules that compute an operator which `fault` names."""
        if not fault:
            return ()
        source = next(iter(self.sources.values()))
        network, _, _ = source.one_input()
        return modules_named_in(fault, network, source.example())

    def _hopeless(self, planned: PlannedVariant) -> float:
        """A drop on a part of the samples that the others cannot make up for."""
        if not self._allowed(planned):
            return float("inf")
        return _HOPELESS_TIMES * self.max_drop + _HOPELESS_MARGIN

    @property
    def max_drop(self) -> float:
        """The largest loss; without a budget, none that can be measured is too large."""
        budget = self.plan.recipe.budget
        return budget.max_drop if budget else sys.float_info.max

    def _allowed(self, planned: PlannedVariant) -> tuple[Repair, ...]:
        """What may be done for a variant that is over budget."""
        budget = self.plan.recipe.budget
        allowed: tuple[Repair, ...] = budget.repair if budget else ("keep-float",)
        if planned.precision in CALIBRATED:
            return allowed
        return tuple(step for step in allowed if step != "calibrate")
