"""The names that libraries have for ways to resize."""

from collections.abc import Mapping

from edgeprep.importers.stages import Method
from edgeprep.schema.messages import broken

__all__ = ["method"]

# Pillow's numbers, which transformers stores and torchvision takes.
NUMBERS: Mapping[int, str] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
METHODS: Mapping[str, Method] = {"bilinear": "bilinear", "bicubic": "bicubic"}


def method(value: object, where: str) -> Method:
    """The method of the stage `resize` for an enum, a name, or a number of Pillow's.

    Raises:
        RecipeError: there is none that means the same.
    """
    value = getattr(value, "value", value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = NUMBERS.get(value, value)
    if isinstance(value, str) and value.lower() in METHODS:
        return METHODS[value.lower()]
    rule = "must be bilinear or bicubic (2 or 3 as Pillow counts)"
    reason = "; no other way to resize means the same in every engine; fine-tune with one of these"
    raise broken(where, rule, value, reason)
