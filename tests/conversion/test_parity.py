"""The parity gate and its oracle: a comparison that proves nothing is no comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.conversion.parity import check_oracle, measure_parity
from edgeprep.errors import ParityError
from edgeprep.interfaces import Precision, Runner
from edgeprep.runtime.golden import relative_error
from edgeprep.tensors import TensorSpec

Outputs = tuple[NDArray[Any], ...]


class Fixed(Runner):
    """Gives the same outputs whatever comes."""

    inputs = outputs = ()

    def __init__(self, *outputs: NDArray[Any]) -> None:
        self.given = outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> Outputs:
        return self.given

    def close(self) -> None:
        pass


def outputs(*rows: Sequence[float]) -> list[Outputs]:
    return [(np.array([row], np.float32),) for row in rows]


IMAGE = np.zeros((1, 2, 2, 3), np.uint8)
SCORES = (TensorSpec(name="scores", shape=(1, 2), dtype="float32"),)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [[1e-8, 2e-8], [3e-8, 1e-8]],
            (
                "parity: source output 'scores' must reach 1e-05, got 3e-08 at most; "
                "a comparison of such numbers proves nothing: are these trained weights?"
            ),
        ),
        (
            [[0.0, 0.0], [0.0, 0.0]],
            (
                "parity: source output 'scores' must reach 1e-05, got 0 at most; "
                "a comparison of such numbers proves nothing: are these trained weights?"
            ),
        ),
        (
            [[1.0, 2.0], [1.0, 2.001]],
            (
                "parity: source output 'scores' must differ between samples by 1e-03 of its size, "
                "got 5.0e-04; a comparison proves nothing: does the network see its input?"
            ),
        ),
        (
            [[1.0, float("nan")], [2.0, 1.0]],
            (
                "parity: source output 'scores' must be finite, got NaN or infinity; "
                "check the weights and the preprocessing"
            ),
        ),
    ],
)
def test_a_weak_oracle_is_refused(rows: list[list[float]], message: str) -> None:
    with pytest.raises(ParityError, match="parity: source output 'scores' must") as fault:
        check_oracle(outputs(*rows), SCORES)
    assert str(fault.value) == message


def test_one_sample_is_no_oracle() -> None:
    with pytest.raises(ParityError, match="at least 2 held-out samples") as fault:
        check_oracle(outputs([1.0, 2.0]), SCORES)
    assert str(fault.value) == (
        "parity: must be proved on at least 2 held-out samples, got 1; "
        "from one it cannot be seen whether the network sees its input"
    )


def test_outputs_that_differ_between_samples_are_an_oracle() -> None:
    check_oracle(outputs([1.0, 2.0], [1.0, 2.01]), SCORES)


def test_every_output_of_several_must_be_an_oracle() -> None:
    dead = [(np.ones((1, 2)) * index, np.zeros((1, 2))) for index in (1, 2)]
    with pytest.raises(ParityError, match="source output 'boxes' must reach"):
        check_oracle(dead, (*SCORES, TensorSpec(name="boxes", shape=(1, 2), dtype="float32")))


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-4), ("fp16", 2e-2), ("int8", 0.3)])
def test_each_precision_has_its_tolerance(precision: Precision, allowed: float) -> None:
    expected = outputs([1.0, -4.0])
    below, above = (
        Fixed(np.array([[1.0, -4.0 - 4 * allowed * factor]])) for factor in (0.98, 1.02)
    )
    parity = measure_parity("x", below, precision, [IMAGE], expected)
    assert parity.relative == pytest.approx(0.98 * allowed)
    assert parity.max_abs == pytest.approx(4 * 0.98 * allowed)
    with pytest.raises(ParityError, match="x: must agree with the source within"):
        measure_parity("x", above, precision, [IMAGE], expected)


def off_by(*errors: float) -> list[Outputs]:
    """The source's outputs from which a runner that gives 1 is so far away, in relative terms."""
    return outputs(*([1 / (1 - error), 0.0] for error in errors))


def test_an_int8_sample_may_be_further_off_than_half_of_them() -> None:
    runner = Fixed(np.array([[1.0, 0.0]]))
    parity = measure_parity("x", runner, "int8", [IMAGE] * 4, off_by(0.48, 0.45, 0.14, 0.02))
    assert parity.relative == pytest.approx(0.48)  # the median is 0.295
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        measure_parity("x", runner, "int8", [IMAGE] * 4, off_by(0.48, 0.45, 0.17, 0.02))
    assert str(fault.value) == (
        "x: must agree with the source within 3e-01 of its largest output on half of the samples, "
        "got 3.10e-01 as the median of 4; give more calibration samples, or keep sensitive layers "
        "in float with target.keep_float"
    )
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        measure_parity("x", runner, "int8", [IMAGE] * 4, off_by(0.51, 0.02, 0.02, 0.02))
    assert str(fault.value) == (
        "x: must agree with the source within 5e-01 of its largest output, got 5.10e-01 on "
        "4 samples"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param((np.ones((1, 3)),), id="another shape"),
        pytest.param((), id="no output"),
        pytest.param((np.array([[np.nan, 1.0]]),), id="not a number"),
        pytest.param((np.array([[np.inf, 1.0]]),), id="infinity"),
    ],
)
def test_what_cannot_be_compared_never_passes(wrong: Outputs) -> None:
    assert relative_error(wrong, (np.ones((1, 2)),)) == float("inf")


def test_the_error_is_relative_to_the_largest_output_and_that_of_the_worst_one() -> None:
    # By hand: 0.5 of 10 is 0.05; 0.3 of 2 is 0.15.
    got = (np.array([[9.5, 1.0]]), np.array([[2.3]]))
    assert relative_error(got, (np.array([[10.0, 1.0]]), np.array([[2.0]]))) == pytest.approx(0.15)
    zeros = (np.zeros((1, 2)),)
    assert relative_error(zeros, zeros) == 0.0
    assert relative_error((np.full((1, 2), 1e-9),), zeros) == float("inf")


def test_of_whole_numbers_the_error_is_how_many_differ() -> None:
    # Class 9 is no farther from class 0 than class 1 is.
    got, wanted = np.array([[0, 9, 2, 3]]), np.array([[0, 1, 2, 3]])
    assert relative_error((got,), (wanted,)) == 0.25
