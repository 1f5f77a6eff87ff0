"""What stages ask of the pictures that arrive, said once and in the same words."""

from edgeprep.errors import RecipeError
from edgeprep.tensors import ImageSpec, Range

__all__ = ["need_channels_last", "need_range"]


def need_channels_last(image: ImageSpec) -> None:
    """Refuse pictures whose channels come first.

    Raises:
        RecipeError: the layout is not NHWC.
    """
    if image.layout != "nhwc":
        raise RecipeError(f"needs layout 'nhwc', got {image.layout!r}; put layout last")


def need_range(image: ImageSpec, *allowed: Range) -> None:
    """Refuse pictures whose numbers do not mean what the stage works on.

    Raises:
        RecipeError: the range is none of `allowed`.
    """
    if image.range not in allowed:
        rule = " or ".join(allowed)
        remedy = "put this stage before normalize and scale"
        raise RecipeError(f"needs values in {rule}, got {image.range!r}; {remedy}")
