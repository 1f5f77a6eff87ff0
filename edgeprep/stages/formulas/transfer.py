"""The sRGB curve between what screens and files hold and how much light that is."""

from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["from_linear", "to_linear"]

T = TypeVar("T")

# IEC 61966-2-1: a straight line near black, and above it a power of 2.4.
SLOPE = 12.92
OFFSET = 0.055
EXPONENT = 2.4
END_OF_LINE = 0.04045
END_OF_LINEAR_LINE = 0.0031308


def to_linear(F: Primitives[T], x: T) -> T:
    """Display values in 0..1, float32, to linear light in 0..1."""
    raised = F.multiply(F.add(x, OFFSET), 1 / (1 + OFFSET))
    curve = F.power(raised, EXPONENT)
    return F.select(F.greater(x, END_OF_LINE), curve, F.multiply(x, 1 / SLOPE))


def from_linear(F: Primitives[T], x: T) -> T:
    """Linear light in 0..1, float32, to display values in 0..1."""
    curve = F.subtract(F.multiply(F.power(x, 1 / EXPONENT), 1 + OFFSET), OFFSET)
    return F.select(F.greater(x, END_OF_LINEAR_LINE), curve, F.multiply(x, SLOPE))
