"""What a metric is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One way to score predictions.

    Attributes:
        name: what recipes and reports call it.
        higher_is_better: which way is better.
        score: called with predictions and what they are held against, sample by sample.
    """

    name: str
    higher_is_better: bool
    score: Callable[[Sequence[Any], Sequence[Any]], float]
