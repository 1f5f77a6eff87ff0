"""Which pixels are in an object, by the outlines or run lengths that annotations have."""

from typing import Any

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
    from pycocotools import mask  # here, as only masks need it

    # NOTE: the library takes what it gets on trust, in C: everything is looked at before.
    if isinstance(segmentation, list):
        if not segmentation:
            return np.zeros((height, width), np.bool_)
        polygons = [_polygon(one, height, width, what) for one in segmentation]
        runs = mask.merge(mask.frPyObjects(polygons, height, width))
    elif isinstance(segmentation, dict):
        runs = _runs(segmentation, height, width, what)
    else:
        raise InputError(f"{what} must be polygons or run lengths, got {type(segmentation)}")
    try:
        return np.asarray(mask.decode(runs)).astype(np.bool_)
    except ValueError as error:
        raise InputError(f"{what} must be whole run lengths, got {str(error)!r}") from error


def _polygon(points: object, height: int, width: int, what: str) -> list[float]:
    numbers = points if isinstance(points, list) else []
    if len(numbers) < 6 or len(numbers) % 2 or any(type(n) not in (int, float) for n in numbers):
        rule = "must have polygons of two numbers for each of three or more points"
        raise InputError(f"{what} {rule}, got {show(points)}")
    array = np.asarray(numbers, np.float64)
    # The library takes time and memory for the length of every line.
    most = 2.0 * max(height, width)
    if not (np.abs(array) <= most).all():
        rule = f"must have points in its picture of {width}×{height} pixels"
        raise InputError(f"{what} {rule}, got {float(array[np.argmax(np.abs(array))])}")
    return [float(number) for number in array]


def _runs(table: dict[Any, Any], height: int, width: int, what: str) -> dict[str, Any]:
    from pycocotools import mask  # here, as only masks need it

    if list(table.get("size", ())) != [height, width]:
        rule = f"must be of size {[height, width]}"
        raise InputError(f"{what} {rule}, got {table.get('size')!r}")
    counts = table.get("counts")
    if isinstance(counts, list):
        whole = all(type(count) is int and count >= 0 for count in counts)
        if not whole or sum(counts) != height * width:
            got = sum(counts) if whole else "others"
            raise InputError(f"{what} must have runs of {height * width} pixels, got {got}")
        runs: dict[str, Any] = mask.frPyObjects(dict(table), height, width)
        return runs
    if not isinstance(counts, str) or not counts.isascii():
        raise InputError(f"{what} must have counts as numbers or text, got {type(counts)}")
    _check_text(counts, height * width, what)
    return {"size": [height, width], "counts": counts.encode()}


def _check_text(counts: str, pixels: int, what: str) -> None:
    """Refuse the library's text for run lengths where it is not of so many pixels.

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
    if shift or any(run < 0 for run in runs) or sum(runs) != pixels:
        got = sum(runs) if not shift else "text that is cut short"
        raise InputError(f"{what} must have runs of {pixels} pixels, got {got}")
