"""Numbers and names as other libraries write them, read strictly."""

import math
import operator
from collections.abc import Iterable, Mapping
from typing import SupportsFloat, SupportsIndex

import numpy as np

from edgeprep.schema.messages import broken, join
from edgeprep.tensors import LONGEST_SIDE

__all__ = [
    "crop_share",
    "keys_left",
    "length",
    "lengths",
    "number",
    "numbers",
    "positive",
    "table",
    "text",
]

# Beyond, float32 is infinite.
MOST_FLOAT32 = 3e38
# Of what is subtracted from pixels, and what they are multiplied and divided by: beyond are
# misprints, whose quotients float32 does not hold.
LEAST, MOST = 1e-6, 1e6
# Of a picture; timm's and transformers' own are 0.7 and more.
LEAST_CROP = 0.01


def text(value: object, where: str) -> str:
    """`value`, which must be a string."""
    if not isinstance(value, str):
        raise broken(where, "must be a string", value)
    return value


def table(value: object, where: str) -> Mapping[str, object]:
    """`value`, which must be an object of JSON."""
    if not isinstance(value, Mapping):
        raise broken(where, "must be an object with keys", value)
    return value


def keys_left(given: Mapping[str, object], known: Iterable[str], where: str = "") -> None:
    """Refuse keys that say something and that nobody has read.

    Raises:
        RecipeError: there is one; null, false, and what is empty say nothing.
    """
    for key in given.keys() - set(known):
        if given[key] not in (None, False, "", [], {}):
            remedy = "; delete it if it does not change pixels, else write these stages by hand"
            raise broken(join(where, key), "must be a key whose meaning is known", key, remedy)


def number(value: object, where: str) -> float:
    """`value`, which must be a finite number; also one of numpy or torch.

    A number that was stored as float32 comes back as it was written: 0.485, and not
    0.48500001430511475.
    """
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        raise broken(where, "must be a number", value)
    try:
        read = float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise broken(where, "must be a finite number", value) from None
    except (TypeError, ValueError):  # an array of several
        raise broken(where, "must be a number", value) from None
    if not math.isfinite(read):
        raise broken(where, "must be a finite number", read)
    # NOTE: numpy compares a float32 with a float in float32, where the two are always equal.
    single = np.float32(read) if abs(read) < MOST_FLOAT32 else np.float32(0)
    return float(str(single)) if float(single) == read else read


def numbers(value: object, where: str) -> tuple[float, ...]:
    """`value`, which must be a number, or some, as a tuple; each within -1e6..1e6."""
    if isinstance(value, str | Mapping):
        raise broken(where, "must be numbers", value)
    if not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return (_bounded(value, where),)
    read = tuple(_bounded(item, f"{where}[{index}]") for index, item in enumerate(value))
    if not read:
        raise broken(where, "must be one number a channel", [])
    return read


def _bounded(value: object, where: str) -> float:
    read = number(value, where)
    if abs(read) > MOST:
        raise broken(where, f"must be at least {-MOST:g} and at most {MOST:g}", read)
    return read


def positive(values: tuple[float, ...], where: str) -> tuple[float, ...]:
    """`values`, each of which must be above 0, as something is divided by them: 1e-6..1e6."""
    for value in values:
        if value <= 0:
            raise broken(where, "must be above 0", value)
        if not LEAST <= value <= MOST:
            raise broken(where, f"must be at least {LEAST:g} and at most {MOST:g}", value)
    return values


def crop_share(value: object, where: str, remedy: str = "") -> float:
    """`value`, which must be the share of a picture's sides that a crop keeps.

    `remedy` ends the message where it is above 1.
    """
    share = number(value, where)
    if not LEAST_CROP <= share <= 1:
        rule = f"must be at least {LEAST_CROP} and at most 1"
        raise broken(where, rule, share, remedy if share > 1 else "")
    return share


def length(value: object, where: str) -> int:
    """`value`, which must be a number of pixels."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise broken(where, "must be a whole number of pixels", value)
    pixels = operator.index(value)
    if pixels < 1:
        raise broken(where, "must be at least 1 pixel", pixels)
    if pixels > LONGEST_SIDE:
        raise broken(where, f"must be at most {LONGEST_SIDE} pixels", pixels)
    return pixels


def lengths(value: object, where: str) -> tuple[int, ...]:
    """`value`, which must be one length or an array of them, in pixels."""
    if isinstance(value, SupportsIndex):
        return (length(value, where),)
    if not isinstance(value, list | tuple):
        raise broken(where, "must be a length or [height, width] in pixels", value)
    return tuple(length(item, f"{where}[{index}]") for index, item in enumerate(value))
