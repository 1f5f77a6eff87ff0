"""How an epoch did on the validation data, and which one did best."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from edgeprep.metrics import Metric
from edgeprep.train.data import TrainingData
from edgeprep.train.ema import MovingAverage
from edgeprep.train.history import Row
from edgeprep.train.scoring import answers, in_eval_mode, score_answers

__all__ = ["Verdict", "validate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which epoch's weights are kept.

    Attributes:
        epoch: its number, from 1; 0 before the first.
        score: of that epoch on the validation data; None where nothing is scored, and the last
            epoch is the one that is kept.
        stale: how many epochs there were since.
    """

    epoch: int = 0
    score: float | None = None
    stale: int = 0

    def after(self, row: Row, metric: Metric | None) -> "Verdict":
        """The verdict with one more epoch, of which the first of equal ones is kept."""
        score = None if metric is None else row.scores.get(metric.name)
        if score is None or metric is None or self.score is None:
            return Verdict(epoch=row.epoch, score=score)
        better = score > self.score if metric.higher_is_better else score < self.score
        if better:
            return Verdict(epoch=row.epoch, score=score)
        return Verdict(epoch=self.epoch, score=self.score, stale=self.stale + 1)


def validate(
    fabric: Fabric,
    network: torch.nn.Module,
    average: MovingAverage | None,
    data: TrainingData,
) -> Mapping[str, float]:
    """The score on the validation data, each process having run its share; {} where there is none.

    Args:
        fabric: launched.
        network: on the device; with the weights of `average`, where there is one.
        average: see `network`.
        data: the validation data and the metric.
    """
    held_out, metric = data.held_out, data.metric
    if held_out is None or metric is None:
        return {}
    world, rank, count = fabric.world_size, fabric.global_rank, len(held_out)
    # All shares are of one length, as gathering asks for; what is there twice is left out below.
    each = -(-count // world)
    share = [(rank + world * turn) % count for turn in range(each)]
    with ExitStack() as inside:
        inside.enter_context(in_eval_mode(network))
        if average is not None:
            inside.enter_context(average.inside(network))
        inside.enter_context(fabric.autocast())
        batch, states = data.settings.batch, data.states
        outputs = answers(network, data.plain.graph, held_out, share, batch, states)
    gathered = [_in_order(fabric, output)[:count] for output in outputs]
    return {metric.name: score_answers(gathered, held_out, data.task, metric)}


def _in_order(fabric: Fabric, output: torch.Tensor) -> torch.Tensor:
    """What the processes answered in turns, `(samples, …)`."""
    if fabric.world_size == 1:
        return output
    parts = [torch.empty_like(output) for _ in range(fabric.world_size)]
    # Not by Fabric, which calls what torch has deprecated.
    torch.distributed.all_gather(parts, output.contiguous())
    return torch.stack(parts, 1).reshape(-1, *output.shape[1:])
