"""The scores of an ensemble and of each of its members, on the same samples."""

from collections.abc import Sequence
from hashlib import sha256

from edgeprep.bundle import SourceRecord
from edgeprep.combine.combiners import need_blending
from edgeprep.conversion.evaluation import Evaluation, Score
from edgeprep.conversion.score import drop_of
from edgeprep.conversion.scoring import Scoring
from edgeprep.data import Samples
from edgeprep.ensembles.answers import Answered, Results, answer_all
from edgeprep.metrics import Metric
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.ensemble_session import EnsembleSession
from edgeprep.runtime.timing import summarize
from edgeprep.truths import content_of

__all__ = ["digest_of_data", "gain", "record_of", "score_ensemble"]


def score_ensemble(
    session: EnsembleSession,
    samples: Samples,
    metrics: Sequence[Metric],
    *,
    fps: float | None,
    undefined: dict[str, str] | None = None,
) -> tuple[Evaluation, Answered]:
    """What the ensemble scores, and each member by itself; and all that they answered.

    A member's `drops` say how much worse it is than the ensemble. Times are of whole calls, with
    what the host prepares and with results worked out, as far as metrics look at them.

    Args:
        session: opened for scoring.
        samples: labelled.
        metrics: at least one.
        fps: how many samples were taken in a second; None: unknown.
        undefined: see `Scoring`.

    Raises:
        DataError: the data cannot be used, or a metric has no value on them.
    """
    sessions = (session, *session.members)
    blendings = [need_blending(each.task) for each in sessions]
    blendings = [blending.scored or blending for blending in blendings]
    answered = answer_all(sessions, blendings, samples, "data.evaluation", fps=fps)
    scoring = Scoring(task=session.task, metrics=metrics, undefined=undefined)
    scores: list[Score] = []
    for number, blending in enumerate(blendings):
        results = Results(blending=blending, arrays=answered.arrays[number])
        timing = summarize([list(answered.times_ms[number])])
        known = scores[0].values if scores else {}
        candidate = _candidate(session, number)
        scores.append(scoring.score_results(candidate, results, answered.truths, timing, known))
    evaluation = Evaluation(
        metrics=tuple(metric.name for metric in metrics),
        samples=len(answered.truths),
        source=None,
        scores=tuple(scores),
        labels=scoring.labels,
        undefined=undefined or {},
        skipped=samples.skipped,
    )
    return evaluation, answered


def gain(evaluation: Evaluation, metric: Metric) -> float:
    """How much better the ensemble is than its best member by `metric`; negative if worse."""
    whole, *members = (score.values[metric.name] for score in evaluation.scores)
    return min(drop_of(metric, whole, value) for value in members)


def record_of(evaluation: Evaluation, answered: Answered) -> SourceRecord:
    """What a bundle says of the score of its ensemble."""
    return SourceRecord(
        metric=evaluation.metric,
        value=evaluation.scores[0].values[evaluation.metric],
        samples=evaluation.samples,
        data=digest_of_data(answered),
    )


def digest_of_data(answered: Answered) -> str:
    """One of all samples and truths, as `Prepared.digest`."""
    content = (*answered.digests, *map(content_of, answered.truths))
    return sha256(b"".join(content)).hexdigest()[:32]


def _candidate(session: EnsembleSession, number: int) -> Candidate:
    if number == 0:
        return session.choice
    choice = session.members[number - 1].choice
    return Candidate(
        variant=f"{session.names[number - 1]}/{choice.variant}",
        backend=choice.backend,
        device=choice.device,
        options=choice.options,
    )
