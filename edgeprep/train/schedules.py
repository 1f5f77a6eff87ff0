"""How the learning rate goes, as a function of the step: nothing has to be remembered."""

import math
from dataclasses import dataclass

from edgeprep.recipe import TrainTable

__all__ = ["LearningRate"]

# torch.optim.lr_scheduler.OneCycleLR's own: where it starts, where it ends, when it is highest.
_START = 1 / 25
_END = _START / 1e4
_RISE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """The learning rate at every step of one training.

    Attributes:
        settings: `[train]`.
        highest: the highest one.
        epochs: how many there are.
        steps: in each of them.
    """

    settings: TrainTable
    highest: float
    epochs: int
    steps: int

    def at(self, step: int) -> float:
        """The learning rate of `step`, counted from 0 over all epochs.

        Source: torch.optim.lr_scheduler's StepLR, CosineAnnealingLR and OneCycleLR, stepped after
        every batch; within 1e-12 of them (tests/train/test_schedules.py). The warm-up comes before
        them and is taken from their time.
        """
        warmup = self._warmup()
        if step < warmup:
            return self.highest * (step + 1) / (warmup + 1)
        return self.highest * self._factor(step - warmup, self.epochs * self.steps - warmup)

    def _warmup(self) -> int:
        # The same part of a fine-tuning that has fewer epochs than `[train]`.
        part = self.settings.warmup_epochs / self.settings.epochs
        return min(round(part * self.epochs * self.steps), self.epochs * self.steps - 1)

    def _factor(self, step: int, steps: int) -> float:
        match self.settings.schedule:
            case "step":
                return float(self.settings.step_factor ** (step // self._plateau()))
            case "cosine":
                return _between(1.0, 0.0, step / steps)
            case "one-cycle":
                return _one_cycle(step, steps)
        return 1.0

    def _plateau(self) -> int:
        return self.settings.step_epochs * self.steps


def _one_cycle(step: int, steps: int) -> float:
    top = _RISE * steps - 1
    if step <= top:
        return _between(_START, 1.0, step / top)
    return _between(1.0, _END, (step - top) / (steps - 1 - top))


def _between(start: float, end: float, progress: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
