"""Boxes and scores of a batch, as the outputs of a network in training have them.

The same as `edgeprep.tasks.box_head` makes of one picture in numpy, with a gradient.
"""

from collections.abc import Sequence

import torch

from edgeprep.tasks.box_head import BoxColumns, Columns

__all__ = ["batch_columns", "corners_of"]


def batch_columns(outputs: Sequence[torch.Tensor], columns: Columns, count: int) -> torch.Tensor:
    """`count` values of every candidate: `(N, candidates, count)`, float32.

    Args:
        outputs: of the network, each `(N, …)`.
        columns: where they are.
        count: how many values.
    """
    parts = [_rows(outputs[number], columns, anchors) for number, anchors in columns.places]
    taken = slice(columns.first, columns.first + count)
    return torch.cat([part[..., taken] for part in parts], 1).float()


def corners_of(
    values: torch.Tensor, columns: BoxColumns, seen: tuple[int, int], starts: torch.Tensor | None
) -> torch.Tensor:
    """Least x, least y, greatest x, greatest y in pixels: `(…, candidates, 4)`.

    Args:
        values: of the same shape, as they are in the outputs.
        columns: what they mean.
        seen: height and width of the network's picture.
        starts: `(candidates, 6)`, see `Priors.starts`; None where `columns` has no priors.

    Source: `BoxColumns.corners`, which this is equal to (tests/train/test_box_outputs.py).
    """
    height, width = seen
    values = values * values.new_tensor(columns.scale)
    if columns.order == "yx":
        values = values[..., [1, 0, 3, 2]]
    if columns.unit == "relative":
        values = values * values.new_tensor([width, height, width, height])
    first, second = values[..., :2], values[..., 2:]
    if columns.form == "corners":
        return values
    if columns.form == "corner-size":
        return torch.cat((first, first + second), -1)
    if columns.form == "center-size" or starts is None:
        return torch.cat((first - second / 2, first + second / 2), -1)
    centers, sides = starts[:, :2], starts[:, 2:4]
    if columns.form == "distances":
        if columns.unit == "cells":
            first, second = first * starts[:, 4:], second * starts[:, 4:]
        return torch.cat((centers - first, centers + second), -1)
    centers = centers + first * sides
    half = second.clamp_max(16.0).exp() * sides / 2
    return torch.cat((centers - half, centers + half), -1)


def _rows(output: torch.Tensor, columns: Columns, anchors: int) -> torch.Tensor:
    pictures = len(output)
    if output.ndim == 2:
        return output[..., None]
    if columns.axis == "last":
        return output.reshape(pictures, -1, output.shape[-1] // anchors)
    places = output.reshape(pictures, anchors, output.shape[1] // anchors, -1)
    return places.permute(0, 3, 1, 2).flatten(1, 2)
