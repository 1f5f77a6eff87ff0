"""Whether what answers knows more than which class is the commonest."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from edgeprep.data import Prepared, prepare_each
from edgeprep.data.preparing import Row
from edgeprep.geometry import Frame
from edgeprep.metrics.chance import compare_with_chance
from edgeprep.runtime.inputs import from_rgb
from edgeprep.train.data import TrainingData
from edgeprep.train.preparation import Preparation
from edgeprep.train.scoring import score_answers
from edgeprep.train.split import Split
from edgeprep.train.supply import in_batches
from edgeprep.train.unroll import through
from edgeprep.train.views import View, show
from edgeprep.truths import Truth

__all__ = ["examine"]

Answer = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
Batch = tuple[torch.Tensor, list[Row]]


def examine(data: TrainingData, answer: Answer, view: View | None = None) -> tuple[str, str]:
    """What `answer` scores, and that one answer for all would score as much: both in words.

    Args:
        data: the validation pictures are answered, or where there are none, those to learn from,
            without augmentation.
        answer: gives outputs, `(N, …)`, for what the preprocessing gives, or for what `view` does.
        view: see `Objective.views`.

    Returns:
        "" and "" where there is nothing to score by; the second is "" where the score is better.
    """
    split = data.validation or data.training
    if data.metric is None or not split.labelled:
        return "", ""
    parts, labels, frames = [], list[Truth | None](), list[Frame | None]()
    for inputs, rows in _batches(data, split, view):
        with torch.no_grad():
            parts.append(answer(inputs))
        labels += [row.label for row in rows]
        frames += [row.frame for row in rows]
    outputs = [torch.cat(output).float() for output in zip(*parts, strict=True)]
    samples = Prepared(
        inputs=np.empty((0, 1, 1, 1), np.uint8),
        labels=tuple(labels),
        skipped=(),
        frames=tuple(frames) if data.frames else (),
    )
    score = score_answers(outputs, samples, data.task, data.metric)
    warning = compare_with_chance(data.task, data.metric, labels, score)
    return (
        f"{data.metric.name} {score:.4f} on {split.where}",
        f"{warning} on {split.where}" if warning else "",
    )


def _batches(data: TrainingData, split: Split, view: View | None) -> Iterator[Batch]:
    """The pictures of `split` as `view` gives them, or as networks take them."""
    preparation: Preparation = data.plain
    if view is not None:
        sample, _ = next(iter(split.samples(0)))
        picture = from_rgb(sample[-1] if data.takes_clips else sample, preparation.host.input)
        preparation = show(preparation, (view,), picture)
    graph = preparation.graph.to("cpu")
    host, where = preparation.host, split.where
    rows_read = prepare_each(split.samples(0), host, where, fps=data.fps, frames=data.frames)
    each = data.checked(rows_read, where)
    for rows in in_batches(each, data.settings.batch, lambda row: len(row.input)):
        with torch.no_grad():
            taken = through(graph, data.stacked([row.input for row in rows]))
        yield taken if view is None else taken[1], rows
