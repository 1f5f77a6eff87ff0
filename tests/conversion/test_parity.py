"""The parity gate and its oracle: a comparison that proves nothing is no comparison."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprep.conversion.parity import TOLERANCE, check_oracle, measure_clips, measure_parity
from edgeprep.errors import ParityError
from edgeprep.interfaces import CALIBRATED, Precision, Runner
from edgeprep.runtime.golden import relative_error
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.detect import Detect
from edgeprep.tasks.tensors import Tensors
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
        check_oracle(outputs(*rows), SCORES, Tensors())
    assert str(fault.value) == message


def test_one_sample_is_no_oracle() -> None:
    with pytest.raises(ParityError, match="at least 2 held-out samples") as fault:
        check_oracle(outputs([1.0, 2.0]), SCORES, Tensors())
    assert str(fault.value) == (
        "parity: must be proved on at least 2 held-out samples, got 1; "
        "from one it cannot be seen whether the network sees its input"
    )


def test_outputs_that_differ_between_samples_are_an_oracle() -> None:
    check_oracle(outputs([1.0, 2.0], [1.0, 2.01]), SCORES, Tensors())


def test_every_output_of_several_must_be_an_oracle() -> None:
    dead = [(np.ones((1, 2)) * index, np.zeros((1, 2))) for index in (1, 2)]
    with pytest.raises(ParityError, match="source output 'boxes' must reach"):
        check_oracle(
            dead, (*SCORES, TensorSpec(name="boxes", shape=(1, 2), dtype="float32")), Tensors()
        )


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-4), ("fp16", 2e-2), ("int8", 0.3)])
def test_each_precision_has_its_tolerance(precision: Precision, allowed: float) -> None:
    expected = outputs([1.0, -4.0])
    below, above = (
        Fixed(np.array([[1.0, -4.0 - 4 * allowed * factor]])) for factor in (0.98, 1.02)
    )
    parity = measure_parity("x", below, precision, [IMAGE], expected, Tensors())
    assert parity.relative == pytest.approx(0.98 * allowed)
    assert parity.max_abs == pytest.approx(4 * 0.98 * allowed)
    with pytest.raises(ParityError, match="x: must agree with the source within"):
        measure_parity("x", above, precision, [IMAGE], expected, Tensors())


def off_by(*errors: float) -> list[Outputs]:
    """The source's outputs from which a runner that gives 1 is so far away, in relative terms."""
    return outputs(*([1 / (1 - error), 0.0] for error in errors))


def test_an_int8_sample_may_be_further_off_than_half_of_them() -> None:
    runner = Fixed(np.array([[1.0, 0.0]]))
    parity = measure_parity(
        "x", runner, "int8", [IMAGE] * 4, off_by(0.48, 0.45, 0.14, 0.02), Tensors()
    )
    assert parity.relative == pytest.approx(0.48)  # the median is 0.295
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        measure_parity("x", runner, "int8", [IMAGE] * 4, off_by(0.48, 0.45, 0.17, 0.02), Tensors())
    assert str(fault.value) == (
        "x: must agree with the source within 3e-01 of its largest output on half of the samples, "
        "got 3.10e-01 as the median of 4; give more calibration samples, or keep sensitive layers "
        "in float with target.keep_float"
    )
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        measure_parity("x", runner, "int8", [IMAGE] * 4, off_by(0.51, 0.02, 0.02, 0.02), Tensors())
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


# Boxes of up to 640 pixels in one output with scores of 0..1, as YOLO gives them.
YOLO = Detect(
    labels=("a", "b"),
    boxes=BoxColumns(axis="second", form="center-size"),
    scores=ScoreColumns(output=0, first=4, axis="second", activation="none"),
)
JOINED = (TensorSpec(name="joined", shape=(1, 6, 3), dtype="float32"),)


SHARED = "; what shares an output shares its steps: let the network give scores by themselves"


def joined(best: float, *, side: float = 640.0) -> Outputs:
    """Three candidates, of which one is an object of class b."""
    values = np.full((1, 6, 3), 0.01, np.float32)
    values[0, :4] = side
    values[0, 5, 1] = best
    return (values,)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_scores_that_are_dead_do_not_hide_behind_boxes(precision: Precision) -> None:
    expected = [joined(0.9), joined(0.7)]
    dead = joined(0.9)[0].copy()
    dead[0, 4:] = 0.0
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        measure_parity("x", Fixed(dead), precision, [IMAGE] * 2, expected, YOLO)
    assert str(fault.value) == (
        f"x: must agree with the source within {TOLERANCE[precision]:.0e} of the largest of its "
        "scores, got 1.00e+00 on 2 samples" + (SHARED if precision in CALIBRATED else "")
    )
    # Of 640 they are nothing.
    assert (
        measure_parity("x", Fixed(dead), "fp16", [IMAGE], expected[:1], Tensors()).relative < 2e-3
    )


def test_scores_of_a_picture_without_objects_count_beside_a_quarter() -> None:
    # By hand: 0.001 of 0.01 would be 0.1; of 0.25 it is 0.004.
    (wanted,), (got,) = joined(0.01), joined(0.011)
    assert relative_error((got,), (wanted,), YOLO) == pytest.approx(0.004, rel=1e-3)
    # By hand: 0.05 of 0.5, which is above a quarter.
    assert relative_error(joined(0.55), joined(0.5), YOLO) == pytest.approx(0.1, rel=1e-3)


def test_logits_count_beside_the_largest_of_them() -> None:
    raw = replace(YOLO, scores=replace(YOLO.scores, activation="sigmoid"))
    # By hand: 0.001 of 0.011, with no least magnitude.
    assert relative_error(joined(0.01), joined(0.011), raw) == pytest.approx(1 / 11, rel=1e-3)


def test_the_scores_of_a_source_must_be_an_oracle_too() -> None:
    check_oracle([joined(0.9), joined(0.7, side=320.0)], JOINED, YOLO)
    # Boxes that differ do not make up for scores that do not.
    same = [joined(0.9), joined(0.9, side=320.0)]
    check_oracle(same, JOINED, Tensors())
    with pytest.raises(ParityError, match="parity: scores in source output 'joined'") as fault:
        check_oracle(same, JOINED, YOLO)
    assert str(fault.value) == (
        "parity: scores in source output 'joined' must differ between samples by 1e-03 of its "
        "size, got 0.0e+00; a comparison proves nothing: does the network see its input?"
    )


class Frames(Fixed):
    """Hands on its state, and gives the next of its outputs at the end of each clip."""

    def __init__(self, *outputs: NDArray[Any]) -> None:
        super().__init__(*outputs)
        self.left = list(outputs)

    def run(self, inputs: Sequence[NDArray[Any]]) -> Outputs:
        return self.left.pop(0), np.zeros((1, 1), np.float32)


def test_half_of_the_clips_are_held_to_what_half_of_the_samples_are() -> None:
    states = (TensorSpec(name="seen", shape=(1, 1), dtype="float32"),)
    clip = np.zeros((1, 2, 2, 3), np.uint8)

    def drift(*errors: float) -> float:
        given = Frames(*([np.array([[1.0 - error]], np.float32) for error in errors]))
        clips = [(clip, (np.ones((1, 1), np.float32),))] * len(errors)
        return measure_clips("x", given, "int8", clips, states, Tensors())

    assert drift(0.48, 0.45, 0.14, 0.02) == pytest.approx(0.48)  # the median is 0.295
    with pytest.raises(ParityError, match="x: must agree with the source within") as fault:
        drift(0.45, 0.45, 0.45)
    assert str(fault.value) == (
        "x: must agree with the source within 3e-01 of its largest output at the end of half of "
        "the clips, got 4.50e-01 as the median of 3; what is off in each frame adds up in the "
        "states: keep the layers that make them in float, with target.keep_float"
    )
