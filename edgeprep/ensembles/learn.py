"""What a combiner learns from the answers of members to labelled samples."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from edgeprep.combine import Arrays
from edgeprep.combine.stack import Stack, evidence
from edgeprep.errors import DataError
from edgeprep.interfaces import BlendKind
from edgeprep.schema import name_first
from edgeprep.truths import Truth

__all__ = ["learn"]

_NAMED = 3  # so many missing classes are named; the rest are counted
# Far more than well-behaved answers need, which is some tens.
_STEPS = 10_000
# Of the mean loss at the end; its default would leave weights that another machine does not find.
_SLOPE = 1e-6


def learn(
    stack: Stack,
    kind: BlendKind,
    answers: Sequence[Sequence[Arrays]],
    truths: Sequence[Truth | None],
    labels: Sequence[str],
) -> Mapping[str, NDArray[np.float32]]:
    """The arrays that `stack` works with, see `Stack.learnt_shapes`.

    Args:
        stack: says how strongly what is learnt is held near nothing.
        kind: "class" or "classes".
        answers: for each member one tuple a sample.
        truths: what each sample is held against.
        labels: the names of the classes.

    Raises:
        DataError: a class has no sample, or of several at once none without it.

    Source: sklearn.linear_model.LogisticRegression, with the squares of all weights as penalty.
    """
    inputs = np.stack([evidence(sample, kind) for sample in zip(*answers, strict=True)])
    if kind == "class":
        numbers = np.array(truths, np.int64)
        _check_all(set(range(len(labels))) - set(numbers.tolist()), labels, "must have pictures of")
        weights, bias = _fit(stack, inputs, numbers)
        if len(labels) == 2:
            # One row says how much more likely the second class is than the first.
            weights = np.concatenate((np.zeros_like(weights), weights))
            bias = np.concatenate((np.zeros_like(bias), bias))
        return {"weights": weights, "bias": bias}
    present = np.stack([truth.present for truth in truths])  # type: ignore[union-attr]
    for value, words in ((True, "with"), (False, "without")):
        missing = np.flatnonzero(~(present == value).any(axis=0)).tolist()
        _check_all(set(missing), labels, f"must have pictures {words}")
    fitted = [_fit(stack, inputs[:, at], present[:, at]) for at in range(len(labels))]
    return {
        "weights": np.concatenate([weights for weights, _ in fitted]),
        "bias": np.concatenate([bias for _, bias in fitted]),
    }


def _check_all(missing: set[int], labels: Sequence[str], rule: str) -> None:
    if missing:
        named = name_first(_NAMED, [labels[index] for index in sorted(missing)])
        raise DataError(
            f"data.training: {rule} each of the {len(labels)} classes, got none for {named}"
        )


def _fit(
    stack: Stack, inputs: NDArray[np.float64], truths: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    model = LogisticRegression(C=1.0 / stack.penalty, tol=_SLOPE, max_iter=_STEPS)
    with warnings.catch_warnings():
        # What is near the best is good enough: the score is measured.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, truths)
    return model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
