"""Division to the last bit, where a rounding follows."""

from typing import TypeVar

from edgeprep.interfaces import Primitives

__all__ = ["exact_quotient"]

T = TypeVar("T")

# Half of the 24 bits of a float32: products of two halves are exact.
HALF = 4096.0


def exact_quotient(F: Primitives[T], a: T, b: T) -> T:
    """`a / b`, the nearest float32 in every engine; both whole, above 0 and below 2**24.

    OpenVINO multiplies by the rounded reciprocal, which is one bit off for a quarter of all
    divisors. What is left of `a` is computed exactly and divided again.

    Source: Dekker, A floating-point technique for extending the available precision, 1971, §5;
    the same as numpy for 255 and all divisors (tests/stages/test_division.py).
    """
    quotient = F.divide(a, b)
    # NOTE: not the quotient itself: the rounding of the first difference takes the lower bits off.
    wide = F.multiply(quotient, HALF + 1.0)
    high = F.subtract(wide, F.subtract(wide, quotient))
    low = F.subtract(quotient, high)
    b_high = F.multiply(F.floor(F.multiply(b, 1 / HALF)), HALF)
    b_low = F.subtract(b, b_high)
    rest = F.subtract(a, F.multiply(high, b_high))
    for part in (F.multiply(low, b_high), F.multiply(high, b_low), F.multiply(low, b_low)):
        rest = F.subtract(rest, part)
    return F.add(quotient, F.divide(rest, b))
