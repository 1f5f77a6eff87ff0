"""Resize to a size: stretched, by the shorter side, or letterboxed."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeVar, cast

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.formulas.resample import Kernel
from edgeprep.stages.requirements import (
    COLORS,
    Level,
    limit_picture,
    limit_pixels,
    need_channels_last,
    need_color,
    need_range,
)
from edgeprep.tensors import LONGEST_SIDE, Color, ImageSpec, Length

__all__ = ["Resize"]

T = TypeVar("T")

Library = Literal["opencv", "pillow", "torchvision"]

METHODS = ("bilinear", "area", "bicubic")
# Hue is an angle: the mean of two reds may be green.
BLENDS: tuple[Color, ...] = ("rgb", "bgr", "grey", "rgba", "bgra", "ycrcb", "lab")
# Why another method that people know is not offered.
REFUSED = {"nearest": "nearest is not portable, libraries pick different pixels"}
# Whether a library's bilinear widens its triangle when it shrinks.
ANTIALIAS = {"opencv": False, "pillow": True, "torchvision": True}
# What a library's method of the same name computes is something else.
UNLIKE = {
    ("opencv", "bicubic"): "OpenCV's has another coefficient and no antialiasing",
    ("pillow", "area"): "Pillow's BOX takes whole pixels only",
    ("torchvision", "area"): "torchvision has none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Stage):
    """Resize with weights that depend on the two sizes alone; the result is float32.

    `W[i, j] = relu(1 - |j + 0.5 - (i + 0.5) · n_in / n_out| / s)`, each row normalized over the
    pixels that exist, with `s = max(n_in / n_out, 1)` if antialiased, else 1.

    Attributes:
        size: `(height, width)` in pixels; for mode "short" the length of the shorter side. At most
            16384 each, and 67 million pixels (2^26).
        method: "bilinear"; "area", the mean of what an output pixel covers; or "bicubic", for
            networks that were trained on it: Pillow's, clipped to 0..255.
        antialias: whether bilinear widens its triangle when it shrinks. True is what Pillow and
            torchvision do, False what OpenCV does; left out, it is what `like` does, or True.
        like: the library that the network was trained with: "opencv", "pillow" or "torchvision".
        mode: "stretch" to `size`; "short", keeping the aspect ratio; or "letterbox", keeping the
            aspect ratio inside `size` and filling the borders.
        fill: the grey level of the letterbox borders, 0 to 255.

    Source: antialiased within 1 level of Pillow's uint8 BILINEAR; not antialiased within 0.85
    levels of OpenCV's uint8 INTER_LINEAR; area within 0.51 of INTER_AREA when shrinking; bicubic
    equal to Pillow's in floats (tests/stages/test_resize_oracles.py). Sizes of "short" are
    torchvision's.
    """

    name: ClassVar[str] = "resize"

    # NOTE: not `Length | tuple[…]`: msgspec 0.22 frees a union of a bounded number and a fixed
    # tuple wrongly, and the process crashes when it ends.
    size: int | tuple[Length, Length]
    method: Annotated[str, Meta(extra_json_schema={"enum": list(METHODS)})] = "bilinear"
    antialias: bool | None = None
    like: Library | None = None
    mode: Literal["stretch", "short", "letterbox"] = "stretch"
    fill: Level = 114

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            reason = REFUSED.get(self.method, "these mean the same in every engine")
            rule = "method: must be 'bilinear', 'area' or 'bicubic'"
            raise RecipeError(f"{rule}, got {self.method!r}; {reason}")
        if other := UNLIKE.get((self.like or "", self.method)):
            rule = f"method: must be one of {self.like}'s for like {self.like!r}"
            raise RecipeError(f"{rule}, got {self.method!r}; {other}")
        wanted, for_what = self._antialias
        if self.antialias is None:
            object.__setattr__(self, "antialias", wanted)
        elif for_what and self.antialias != wanted:
            rule = f"antialias: must be {str(wanted).lower()} for {for_what}"
            raise RecipeError(f"{rule}, got {self.antialias!r}; leave it out")
        if isinstance(self.size, tuple) == (self.mode == "short"):
            rule = "one length" if self.mode == "short" else "[height, width]"
            size = list(self.size) if isinstance(self.size, tuple) else self.size
            raise RecipeError(f"size: must be {rule} for mode {self.mode!r}, got {size!r}")
        if isinstance(self.size, tuple):
            limit_pixels("size: must have", *self.size)
        elif not 1 <= self.size <= LONGEST_SIDE:
            rule = f"must be at least 1 and at most {LONGEST_SIDE}"
            raise RecipeError(f"size: {rule}, got {self.size!r}")

    @property
    def host_primitives(self) -> tuple[str, ...]:
        """The resize itself, where it is the one that other libraries have."""
        return ("resize_linear",) if self.method == "bilinear" and not self.antialias else ()

    def output(self, image: ImageSpec) -> ImageSpec:
        """The same pictures at the new size, float32."""
        need_channels_last(image)
        need_color(image, *BLENDS)
        if self.mode == "letterbox":
            need_color(image, *COLORS)
        if self.mode == "letterbox" or self.method == "bicubic":
            need_range(image, "0..255")
        if isinstance(self.size, tuple):
            height, width = self.size
        elif image.height is not None and image.width is not None:
            height, width = self._inner(image.height, image.width)
            limit_pixels("must make", height, width)
        else:
            return image.replace(height=None, width=None, dtype="float32")
        return image.replace(height=height, width=width, dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32.

        Raises:
            ImageTooLarge: mode "short" would make a picture of more than 67 million pixels.
        """
        _, height, width, _ = F.shape(x)
        inner = self._inner(height, width)
        # A line of 1 × 100000 pixels would become a few million pixels long.
        limit_picture("resized", inner, (height, width))
        resized = self._resize(F, x, *inner)
        if self.mode != "letterbox" or inner == self.size:
            return resized
        for axis, (length, full) in enumerate(zip(inner, self._box, strict=True), start=1):
            before = (full - length) // 2
            if length < full:
                resized = F.pad(resized, axis, before, full - length - before, self.fill)
        return resized

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """The borders of a letterbox taken off, and the scale undone."""
        height_in, width_in = image.size
        height, width = self._inner(height_in, width_in)
        down, across = height_in / height, width_in / width
        above = beside = 0
        if self.mode == "letterbox":
            above, beside = (self._box[0] - height) // 2, (self._box[1] - width) // 2
        return (Affine.scaled(across, down, -beside * across, -above * down),)

    @property
    def _antialias(self) -> tuple[bool, str]:
        """Whether to antialias, and what demands it, if anything does."""
        if self.method != "bilinear":
            return True, f"method {self.method!r}"
        if self.like is not None:
            return ANTIALIAS[self.like], f"like {self.like!r}"
        return True, ""

    @property
    def _box(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        """The size of the resized picture itself, without letterbox borders."""
        full_height, full_width = self._box
        if self.mode == "stretch":
            return full_height, full_width
        if self.mode == "short":
            # torchvision truncates the longer side; others round it.
            if height <= width:
                return full_height, int(full_height * width / height)
            return int(full_width * height / width), full_width
        ratio = min(full_height / height, full_width / width)
        return max(round(height * ratio), 1), max(round(width * ratio), 1)

    def _resize(self, F: Primitives[T], x: T, height: int, width: int) -> T:
        _, height_in, width_in, _ = F.shape(x)
        if (height, width) == (height_in, width_in):
            return F.cast(x, "float32")
        shrinks = height < height_in or width < width_in
        if self.method == "bilinear" and not (self.antialias and shrinks):
            return F.resize_linear(x, height, width)
        kernel = cast(Kernel, self.method)
        if height != height_in:
            x = F.resample(x, 1, height, kernel)
        if width != width_in:
            x = F.resample(x, 2, width, kernel)
        # A cubic overshoots beside edges.
        return F.clip(x, 0.0, 255.0) if self.method == "bicubic" else x
