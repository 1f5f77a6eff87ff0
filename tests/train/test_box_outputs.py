"""Boxes of a batch in torch are those that the task makes of one picture in numpy."""

import numpy as np
import pytest
import torch

from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.box_values import Values
from edgeprep.tasks.priors import Priors
from edgeprep.train.box_outputs import batch_columns, corners_of

SEEN = (32, 48)
PRIORS = Priors(strides=(8, 16), sizes=((6.0, 11.0), (20.0, 31.0)), ratios=((1.0, 2.0), (0.5, 1.0)))
COUNT = len(PRIORS.starts(*SEEN))
SCALE = (0.1, 0.2, 0.3, 0.4)
# Three grids of cells that are not square, 29 boxes.
CELLS = Priors(
    cells=((5, 4), (2, 3), (1, 1)), boxes=(((9.0, 4.0),), ((7.0, 7.0),), ((30.0, 20.0),) * 3)
)
COLUMNS = {
    "corners": BoxColumns(),
    "corners, y first": BoxColumns(order="yx", scale=SCALE),
    "relative corners, y first": BoxColumns(order="yx", unit="relative", scale=SCALE),
    "centre and size": BoxColumns(form="center-size", scale=SCALE),
    "relative centre and size": BoxColumns(form="center-size", unit="relative"),
    "corner and size": BoxColumns(form="corner-size", order="yx"),
    "distances": BoxColumns(form="distances", priors=PRIORS, scale=SCALE),
    "relative distances": BoxColumns(form="distances", unit="relative", priors=PRIORS),
    "distances in cells": BoxColumns(form="distances", unit="cells", order="yx", priors=PRIORS),
    "distances in oblong cells": BoxColumns(form="distances", unit="cells", priors=CELLS),
    "deltas": BoxColumns(form="deltas", priors=PRIORS, scale=SCALE),
    "deltas, y first": BoxColumns(form="deltas", order="yx", priors=PRIORS),
}


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_corners_are_those_of_numpy(columns):
    starts = torch.tensor(columns.priors.starts(*SEEN)) if columns.priors else None
    count = COUNT if starts is None else len(starts)
    values = np.random.default_rng(0).normal(0, 3, (2, count, 4)).astype(np.float32)
    values[0, 0] = 1e4  # a wild logit
    found = corners_of(torch.from_numpy(values), columns, SEEN, starts).numpy()
    for one, expected in zip(found, values, strict=True):
        wanted = columns.corners(expected, np.arange(count), SEEN)
        # One exponential of torch and one of numpy may round differently.
        np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-4)


LAYOUTS = {
    "last axis": (ScoreColumns(output=1, first=2), [(2, 5, 4), (2, 7, 9)]),
    "second axis": (ScoreColumns(output=0, first=1, axis="second"), [(2, 6, 7)]),
    "a grid": (ScoreColumns(output=0, first=2, axis="second"), [(2, 5, 3, 4)]),
    "several grids": (
        ScoreColumns(output=(2, 0), axis="second"),
        [(2, 3, 4, 2), (2, 9), (2, 4, 2, 5)],
    ),
    "maps of anchors": (
        ScoreColumns(output=(0, 1), first=1, axis="second", anchors=(2, 3)),
        [(2, 8, 3, 4), (2, 12, 2, 5)],
    ),
    "maps of anchors, values last": (
        ScoreColumns(output=0, first=1, anchors=3),
        [(2, 3, 4, 12)],
    ),
    "several lists": (ScoreColumns(output=(0, 1), first=1), [(2, 3, 4), (2, 5, 7)]),
}


@pytest.mark.parametrize(("columns", "shapes"), LAYOUTS.values(), ids=LAYOUTS)
def test_values_of_candidates_are_those_of_numpy(columns, shapes):
    generator = np.random.default_rng(1)
    outputs = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    found = batch_columns([torch.from_numpy(output) for output in outputs], columns, 3).numpy()
    for index, one in enumerate(found):
        wanted = Values(tuple(output[index : index + 1] for output in outputs), columns, 3)
        np.testing.assert_array_equal(one, wanted[np.arange(len(wanted))])


def test_single_values_may_lie_in_a_row():
    output = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)
    found = batch_columns([torch.from_numpy(output)], ScoreColumns(output=0), 1)
    assert found.shape == (2, 5, 1)
    wanted = Values((output[:1],), ScoreColumns(output=0), 1)
    np.testing.assert_array_equal(found[0], wanted[np.arange(5)])


def test_values_of_half_precision_come_in_float32():
    columns = ScoreColumns(output=0)
    assert batch_columns([torch.ones(1, 2, 3).bfloat16()], columns, 2).dtype == torch.float32
