"""The values of a detector's candidates, as they lie in its outputs."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces.compared import Compared
from edgeprep.tasks.box_head import Columns, ScoreColumns
from edgeprep.tensors import TensorSpec

__all__ = ["Parts", "Values", "check_apart", "check_layout", "compared_parts"]

# What candidates have, by the key of the recipe: where, and how many values each.
Parts = Mapping[str, tuple[Columns, int]]

_ALL = slice(None)
# What no candidate reaches is nothing, and next to it any rounding is large.
_LEAST_SCORE = 0.25
_MOST_CLASSES = 2**31


class Values:
    """Values of every candidate, `(candidates, count)`, as they lie in the outputs.

    Few candidates are looked at twice, so that those of several outputs are never put together.

    Args:
        outputs: of the network, for one picture.
        columns: where the values are.
        count: how many a candidate has.
    """

    def __init__(self, outputs: tuple[NDArray[Any], ...], columns: Columns, count: int) -> None:
        self._parts = [
            _rows(outputs[number], columns, anchors, count) for number, anchors in columns.places
        ]
        self._ends = np.cumsum([len(part) for part in self._parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def peaks(self, which: slice = _ALL) -> NDArray[np.float32]:
        """The greatest of the values `which` of every candidate, `(candidates,)`."""
        peaks = [part[:, which].max(axis=1, initial=-np.inf) for part in self._parts]
        # NOTE: in float16, what they are compared with would be rounded to it.
        return np.concatenate(peaks).astype(np.float32)

    def __getitem__(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Those of the candidates with these numbers, `(len(numbers), count)`."""
        if len(self._parts) == 1:
            return np.asarray(self._parts[0][numbers], np.float32)
        taken = np.empty((len(numbers), self._parts[0].shape[1]), np.float32)
        homes = np.searchsorted(self._ends, numbers, side="right")
        for home, part in enumerate(self._parts):
            here = homes == home
            taken[here] = part[numbers[here] - (self._ends[home] - len(part))]
        return taken


def _rows(output: NDArray[Any], columns: Columns, anchors: int, count: int) -> NDArray[Any]:
    """`(candidates, count)`: place by place, and at each the anchors in their order."""
    values: NDArray[Any] = output[0]
    taken = slice(columns.first, columns.first + count)
    if values.ndim == 1:
        return values[:, None]
    if columns.axis == "last":
        return values.reshape(-1, values.shape[-1] // anchors)[:, taken]
    values = values.reshape(anchors, len(values) // anchors, -1)[:, taken]
    # No copy of a single anchor's.
    return np.asarray(values.transpose(2, 0, 1).reshape(-1, values.shape[1]))


def compared_parts(outputs: tuple[NDArray[Any], ...], parts: Parts) -> tuple[Compared, ...]:
    """What detectors are compared by: each of `parts` in each of its outputs, and other outputs.

    Beside boxes in pixels, which may share an output with them, scores of 0..1 do not show.
    """
    found: list[Compared] = []
    for number, output in enumerate(outputs):
        here = {name: part for name, part in parts.items() if number in part[0].outputs}
        named = [_compared(name, output, number, *part) for name, part in here.items()]
        if sum(one.values.size for one in named) < output.size:
            # What nothing is said of counts in the whole.
            named.append(Compared(output=number, values=output))
        # What has an output to itself is small beside nothing but itself.
        found += named if len(named) > 1 else [replace(one, name="", least=0.0) for one in named]
    return tuple(found)


def _compared(
    name: str, output: NDArray[Any], number: int, columns: Columns, count: int
) -> Compared:
    values = _taken(output, columns, dict(columns.places)[number], count)
    least = 0.0
    if isinstance(columns, ScoreColumns) and columns.activation == "none":
        least = _LEAST_SCORE
    if name == "classes" and np.isfinite(values).all():
        # Wild ones are none of a class, and not a warning.
        values = np.clip(values, -1, _MOST_CLASSES).astype(np.int64)
    return Compared(output=number, values=values, name=name, least=least)


def _taken(output: NDArray[Any], columns: Columns, anchors: int, count: int) -> NDArray[Any]:
    """The values of the candidates of all pictures, in their order in memory."""
    if output.ndim == 2:
        return output
    taken = slice(columns.first, columns.first + count)
    if columns.axis == "last":
        return output.reshape(*output.shape[:-1], anchors, output.shape[-1] // anchors)[..., taken]
    each = (anchors, output.shape[1] // anchors, prod(output.shape[2:]))
    return output.reshape(len(output), *each)[:, :, taken]


def check_apart(parts: Parts) -> None:
    """Refuse parts that are said to be at the same place.

    Raises:
        ValueError: two of them share a value of an output.
    """
    for (name, (one, count)), (key, (other, more)) in combinations(parts.items(), 2):
        apart = one.first + count <= other.first or other.first + more <= one.first
        for number in sorted({*one.outputs} & {*other.outputs}):
            layouts = [(each.axis, dict(each.places)[number]) for each in (one, other)]
            if layouts[0] != layouts[1]:
                rule = f"must have the axis and the anchors of {name}, in one output"
                axis, anchors = layouts[1]
                got = f"axis {axis!r} and anchors {anchors} of output {number}"
                raise ValueError(f"{key}: {rule}, got {got}")
            if not apart:
                got = f"values {other.first}..{other.first + more - 1} of output {number}"
                raise ValueError(f"{key}: must not be where {name} are, got {got}")


def check_layout(specs: tuple[TensorSpec, ...], parts: Parts) -> None:
    """Refuse outputs that are not as `parts` say.

    Raises:
        RecipeError: an output is not there, has not so many values of each candidate, or has
            others in a map; or parts are not of as many candidates each.
    """
    counts = {name: _count(specs, *part, f"task.{name}") for name, part in parts.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise RecipeError(f"task: must have the parts of as many candidates each, got {said}")
    used = {number for columns, _ in parts.values() for number in columns.outputs}
    pictures = {specs[number].shape[0] for number in used}
    if len(pictures) > 1:
        said = ", ".join(map(str, sorted(pictures)))
        raise RecipeError(f"task: outputs must be of as many pictures each, got {said}")
    for number in sorted(used):
        if len(specs[number].shape) == 4:
            _check_map(specs[number].shape, number, parts)


def _count(specs: tuple[TensorSpec, ...], columns: Columns, count: int, where: str) -> int:
    """How many candidates there are."""
    total = 0
    for number, anchors in columns.places:
        if number >= len(specs):
            rule = f"must be the number of one of the network's {len(specs)} outputs"
            raise RecipeError(f"{where}.output: {rule}, got {number}")
        shape = specs[number].shape
        total += _count_in(shape, columns, anchors, count, f"{where}: output {number}")
    return total


def _count_in(
    shape: tuple[int, ...], columns: Columns, anchors: int, count: int, where: str
) -> int:
    if columns.axis == "last":
        wanted = "(1, N, values) or (1, H, W, values)"
        alone = count == 1 and columns.first == 0 and anchors == 1
        if alone and len(shape) == 2:
            return shape[1]
        wanted = f"(1, N), {wanted}" if alone else wanted
        values = shape[-1]
    else:
        wanted = "(1, values, N) or (1, values, H, W)"
        values = shape[1] if len(shape) > 1 else 0
    if len(shape) not in (3, 4):
        raise RecipeError(f"{where} must be {wanted}, got {shape}")
    each, rest = divmod(values, anchors)
    if rest or each < columns.first + count:
        rule = f"must have {columns.first + count} values of each candidate"
        if anchors > 1:
            rule += f" for each of {anchors} anchors"
        raise RecipeError(f"{where} {rule}, got {values} in {shape}")
    return int(np.prod(shape[1:])) // each


def _check_map(shape: tuple[int, ...], number: int, parts: Parts) -> None:
    """Refuse values of a map that nothing is said of: most likely those of other anchors."""
    here = [part for part in parts.values() if number in part[0].outputs]
    columns = here[0][0]
    known = sum(count for _, count in here) * dict(columns.places)[number]
    values = shape[-1] if columns.axis == "last" else shape[1]
    if values != known:
        rule = f"output {number} must have {known} values in every cell, as is said"
        raise RecipeError(
            f"task: {rule}, got {values} in {shape}; say anchors where a cell has several boxes"
        )
