"""Epochs that several processes draw at once."""

import numpy as np

AUGMENT = '[[augment]]\nuse = "random-noise"\nsigma = 9\n\n[data]'
DRAWN = {'"data:pictures" }': '"data:pictures", per_epoch = true }', "[data]": AUGMENT}


def test_an_epoch_is_drawn_alike_while_another_process_draws_the_next(project, opened):
    recipe = project(DRAWN)
    alone = [row.input for row in opened(recipe).supply._rows(0)]
    supply = opened(recipe).supply
    shared = []
    for row in supply._rows(0):
        shared.append(row.input)
        next(supply._rows(1))
    for one, other in zip(alone, shared, strict=True):
        assert np.array_equal(one, other)
