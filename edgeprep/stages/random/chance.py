"""How chance comes into the stages that vary pictures for training."""

from typing import Annotated

from msgspec import Meta
from numpy.random import Generator

__all__ = ["Probability", "happens", "whole"]

Probability = Annotated[float, Meta(ge=0, le=1)]


def happens(generator: Generator, probability: float) -> bool:
    """Whether something of such a probability happens this time: never for 0, always for 1."""
    return generator.random() < probability


def whole(generator: Generator, low: int, high: int) -> int:
    """A whole number of `low` to `high`, both included."""
    return int(generator.integers(low, high, endpoint=True))
