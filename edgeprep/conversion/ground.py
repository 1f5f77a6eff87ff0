"""What all variants of one placement are held to: samples, and the network's score on them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprep.conversion.parity import check_oracle
from edgeprep.conversion.score import Outputs, Scorer
from edgeprep.conversion.source import NetworkSource
from edgeprep.conversion.variants import Oracle
from edgeprep.data import Prepared
from edgeprep.errors import DataError
from edgeprep.interfaces import Task

__all__ = ["Ground", "least_decided", "sample"]

# What is far over budget shows on so many.
_SAMPLED = 256
# Enough to see a border or a rare branch, few enough to cost nothing beside the export.
_PARITY_SAMPLES = 16
_GOLDEN_SAMPLES = 8
# Of them, so many are those that the network is least decided on, where its task says so: damage
# that turns any answer turns these, or moves them most. Of mutations of the zoo's MobileNet in int8
# that turn one of 256 answers, 8 samples taken evenly noticed 75 % and these 97 %, at equal limits
# (tools/bench_golden).
_UNDECIDED = 6
_PARITY_CLIPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all variants of one placement stand on.

    Attributes:
        calibration: None where the recipe names none.
        held_out: what parity is proved on: evaluation data, or calibration data without them.
        scorer: scores outputs on the held-out samples.
        score: that of the network before anything was done to it.
        sampled: the samples that a trial is scored on first, and the network's score on them.
        undecided: the samples that the network is least decided on; () where it says nothing of it.
    """

    calibration: Prepared | None
    held_out: Prepared
    scorer: Scorer
    score: float
    sampled: tuple[tuple[int, ...], float]
    undecided: tuple[int, ...] = ()

    @property
    def _clips(self) -> list[NDArray[np.uint8]]:
        """A few whole clips, from end to end of the data."""
        chosen = np.unique(np.linspace(0, len(self.held_out) - 1, _PARITY_CLIPS).astype(int))
        return [self.held_out.picture(index) for index in chosen.tolist()]

    def oracle(self, source: NetworkSource) -> Oracle:
        """What variants of `source`, the network after all passes, are held to.

        Raises:
            ParityError: its outputs prove nothing.
        """
        clips = self._clips if source.states else ()
        inputs = [feed for clip in clips for feed in source.taking(clip)]
        if clips:
            inputs = [inputs[index] for index in _spread(len(inputs))]
        else:
            inputs = [(self.held_out.feed(index),) for index in _spread(self.held_out.feeds)]
        expected = [source.run(*feed) for feed in inputs]
        hard = [(self.held_out.feed(index),) for index in self.undecided]
        answers = len(source.answers)
        check_oracle([outputs[:answers] for outputs in expected], source.answers, self.scorer.task)
        return Oracle(
            inputs=inputs,
            expected=expected,
            golden=_golden(
                [(feed, source.run(*feed)) for feed in hard],
                list(zip(inputs, expected, strict=True)),
            ),
            clips=[(clip, source.answer(clip)) for clip in clips],
            scorer=self.scorer,
            source_score=self.score,
            sampled=self.sampled,
        )


def least_decided(task: Task, outputs: Sequence[Outputs]) -> tuple[int, ...]:
    """The samples on which a network is least decided, by its `outputs`, one tuple a sample."""
    if not len(outputs) or task.decided(outputs[0]) is None:
        return ()
    margins = [task.decided(each) or 0.0 for each in outputs]
    return tuple(np.argsort(margins, kind="stable")[:_UNDECIDED].tolist())


def _golden(
    hard: Sequence[tuple[Outputs, Outputs]], plain: Sequence[tuple[Outputs, Outputs]]
) -> tuple[tuple[Outputs, Outputs], ...]:
    """Inputs and expected outputs for the bundle, the plain ones in turns with the hard ones.

    Whoever has time for one only takes a plain one.
    """
    known = {feed[0].tobytes() for feed, _ in hard}
    others = [pair for pair in plain if len(pair[0]) > 1 or pair[0][0].tobytes() not in known]
    others = others[: _GOLDEN_SAMPLES - len(hard)]
    mixed = itertools.zip_longest(others, hard)
    return tuple(pair for pairs in mixed for pair in pairs if pair is not None)


def _spread(count: int) -> list[int]:
    chosen: list[int] = np.unique(np.linspace(0, count - 1, _PARITY_SAMPLES).astype(int)).tolist()
    return chosen


def sample(scorer: Scorer, outputs: Sequence[Outputs]) -> tuple[tuple[int, ...], float]:
    """Samples that stand for all, and the score of their `outputs`."""
    count = len(outputs)
    if count <= 2 * _SAMPLED:
        return (), 0.0
    # From end to end: data often come class by class.
    chosen = tuple(np.linspace(0, count - 1, _SAMPLED).astype(int).tolist())
    try:
        return chosen, scorer.some(chosen).score([outputs[index] for index in chosen])
    except DataError:
        # All of them have a score, and these have none: rare objects are in others.
        return (), 0.0
