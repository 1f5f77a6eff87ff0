"""Which pixels are in an object, by the outlines or run lengths that annotations have."""

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendUnavailable, InputError
from edgeprep.schema import show

__all__ = ["check_pycocotools", "inside"]


def check_pycocotools() -> None:
    """Find out before any work whether masks can be made later.

    Raises:
        BackendUnavailable: pycocotools is not installed.
    """
    try:
        import pycocotools.mask  # type: ignore[import-untyped]  # noqa: F401 -- only masks need it
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            "masks of outlines need pycocotools, which is not installed; "
            "pip install edgeprep[convert]"
        ) from error


def inside(segmentation: object, height: int, width: int, what: str) -> NDArray[np.bool_]:
    """The pixels of one object: `(height, width)`.

    Args:
        segmentation: of COCO: a list of polygons `[x0, y0, x1, y1, …]` in pixels, or the lengths
            of runs, `{"size": [height, width], "counts": …}`, as numbers or as the library's text.
        height: of the picture.
        width: likewise.
        what: names it in messages.

    Raises:
        InputError: it is something else, or of a picture of another size.

    Source: as `pycocotools` fills them (tests/data/test_coco.py).
    """
    if segmentation == []:
        # What tools write that know boxes alone: its pixels would silently be background.
        raise InputError(f"{what} must have an outline where masks are asked for, got none")
    if isinstance(segmentation, list):
        pixels = np.zeros((height, width), np.bool_)
        for polygon in segmentation:
            pixels |= _filled(_points(polygon, height, width, what), height, width)
        return pixels
    if not isinstance(segmentation, dict):
        raise InputError(f"{what} must be polygons or run lengths, got {type(segmentation)}")
    if list(segmentation.get("size", ())) != [height, width]:
        rule = f"must be of size {[height, width]}"
        raise InputError(f"{what} {rule}, got {segmentation.get('size')!r}")
    return _pixels(_runs(segmentation.get("counts"), what), height, width, what)


def _points(polygon: object, height: int, width: int, what: str) -> list[float]:
    numbers = polygon if isinstance(polygon, list) else []
    if len(numbers) < 6 or len(numbers) % 2 or any(type(n) not in (int, float) for n in numbers):
        rule = "must have polygons of two numbers for each of three or more points"
        raise InputError(f"{what} {rule}, got {show(polygon)}")
    try:
        array = np.asarray(numbers, np.float64)
    except OverflowError as error:  # whole numbers in JSON are as long as they like
        raise InputError(
            f"{what} must have points of finite numbers, got {str(error)!r}"
        ) from error
    # The library takes time and memory for the length of every line.
    if not (np.abs(array) <= 2.0 * max(height, width)).all():
        rule = f"must have points in its picture of {width}×{height} pixels"
        raise InputError(f"{what} {rule}, got {float(array[np.argmax(np.abs(array))])}")
    return [float(number) for number in array]


def _filled(points: list[float], height: int, width: int) -> NDArray[np.bool_]:
    from pycocotools import mask  # here, as only masks need it

    (runs,) = mask.frPyObjects([points], height, width)
    return _pixels(_of_text(runs["counts"].decode(), "polygon"), height, width, "polygon")


def _pixels(runs: list[int], height: int, width: int, what: str) -> NDArray[np.bool_]:
    """The pixels of runs, down the columns, of which the first is outside.

    NOTE: not by the library, which takes what it gets on trust, in C.
    """
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        got = "negative ones" if min(runs, default=0) < 0 else sum(runs)
        raise InputError(f"{what} must have runs of {height * width} pixels, got {got}")
    within = np.arange(len(runs)) % 2 == 1
    return np.repeat(within, runs).reshape(width, height).T


def _runs(counts: object, what: str) -> list[int]:
    if isinstance(counts, str):
        return _of_text(counts, what)
    if not isinstance(counts, list) or any(type(count) is not int for count in counts):
        raise InputError(f"{what} must have counts as whole numbers or text, got {show(counts)}")
    return counts


def _of_text(counts: str, what: str) -> list[int]:
    """The run lengths that the library writes as text.

    Source: `rleFrString` of the COCO API, common/maskApi.c: five bits in each character, the last
        of each number without bit 6; from the third on, numbers are differences to the last but
        one before.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise InputError(f"{what} must have counts of COCO, got the character {character!r}")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise InputError(f"{what} must have counts of COCO, got {show(counts)}, which is cut short")
    return runs
