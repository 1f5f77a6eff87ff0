"""tools/bench_golden: what it damages, and when it says that damage was caught."""

from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeprep.interfaces import Model

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"benchmarks.mutations.{name}")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


WEIGHTS = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)


def small():
    """x · W, with a constant that is none of weights."""
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["y"]),
        helper.make_node("Add", ["y", "bias"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 5])],
        [
            onnx.numpy_helper.from_array(WEIGHTS, "W"),
            onnx.numpy_helper.from_array(np.arange(5, dtype=np.float32), "bias"),
        ],
    )
    content = bytes(helper.make_model(graph).SerializeToString())
    return Model(format="onnx", files={"model.onnx": content})


def test_only_the_weights_change(script):
    weights, model = script("weights"), small()
    (weight,) = weights.list_weights(model)
    assert (weight.name, weight.file) == ("W", "model.onnx")
    np.testing.assert_array_equal(weight.values, WEIGHTS)
    changed = weights.with_weight(model, weight, 2 * WEIGHTS)
    found = {
        one.name: onnx.numpy_helper.to_array(one)
        for one in onnx.load_from_string(changed.files["model.onnx"]).graph.initializer
    }
    np.testing.assert_array_equal(found["W"], 2 * WEIGHTS)
    np.testing.assert_array_equal(found["bias"], np.arange(5))
    before, after = model.files["model.onnx"], changed.files["model.onnx"]
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= WEIGHTS.nbytes
    with pytest.raises(ValueError, match=r"^weight 'W': must stay float32 \(6, 5\), got float64"):
        weights.with_weight(model, weight, WEIGHTS.astype(np.float64))


def test_a_flipped_bit_is_one(script, rng):
    for _ in range(50):
        flipped = script("damage").flip_bit(WEIGHTS, rng)
        assert flipped.dtype == WEIGHTS.dtype
        bits = flipped.view(np.uint32) ^ WEIGHTS.view(np.uint32)
        assert sum(int(bit).bit_count() for bit in bits.ravel()) == 1


@pytest.mark.parametrize("shape", [(6, 4, 3), (1, 3, 3, 6)], ids=["first axis", "depthwise"])
def test_a_channel_is_scaled_or_zero_and_the_others_stay(script, rng, shape):
    values = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    rows = values if shape[0] > 1 else np.moveaxis(values, -1, 0)
    for _ in range(20):
        scaled, zero = script("damage").scale_channel(values, rng), None
        zero = script("damage").zero_channel(values, rng)
        for damaged in (scaled, zero):
            other = damaged if shape[0] > 1 else np.moveaxis(damaged, -1, 0)
            touched = [i for i in range(6) if not np.array_equal(other[i], rows[i])]
            assert len(touched) == 1
            factors = np.unique((other[touched[0]] / rows[touched[0]]).round(5))
            assert len(factors) == 1
            assert factors[0] in ((0.0,) if damaged is zero else (-1.0, 0.5, 0.9, 1.1, 2.0))


def test_whole_numbers_stay_in_their_range(script):
    values = np.array([[-128, 127, 100, -100]] * 5, np.int8)
    doubled = script("damage").scale_channel(values, FactorOf(2.0))
    assert doubled[0].tolist() == [-128, 127, 127, -128]
    turned = script("damage").scale_channel(values, FactorOf(-1.0))
    assert turned[0].tolist() == [127, -127, -100, 100]


class FactorOf:
    """A generator that takes the first channel, and always this factor."""

    def __init__(self, factor):
        self.factor = factor

    def integers(self, _):
        return 0

    def choice(self, _):
        return self.factor


def test_two_channels_change_places(script, rng):
    for _ in range(20):
        swapped = script("damage").swap_channels(WEIGHTS, rng)
        moved = [i for i in range(6) if not np.array_equal(swapped[i], WEIGHTS[i])]
        assert len(moved) == 2
        one, other = moved
        np.testing.assert_array_equal(swapped[one], WEIGHTS[other])
        np.testing.assert_array_equal(swapped[other], WEIGHTS[one])


@pytest.mark.parametrize(
    ("error", "caught"),
    [(0.02, True), (0.01, False), (0.0, False), (np.inf, True), (np.nan, True)],
)
def test_what_is_over_the_limit_or_no_number_is_caught(script, error, caught):
    mutation = script("catch").Mutation(
        damage="zero channel", weight="W", changed=1, error=error, allowed=0.01
    )
    assert mutation.caught is caught


def test_the_share_is_of_what_changes_answers(script):
    def found(changed, error):
        return script("catch").Mutation(
            damage="zero channel", weight="W", changed=changed, error=error, allowed=0.01
        )

    mutations = [found(3, 1.0), found(1, 0.5), found(1, 0.001), found(0, 0.0), found(0, 1.0)]
    assert script("report").share_caught(mutations) == pytest.approx(2 / 3)


def test_where_no_damage_changes_answers_nothing_is_shown(script):
    harmless = script("catch").Mutation(
        damage="flip bit", weight="W", changed=0, error=1.0, allowed=0.01
    )
    share = script("report").share_caught([harmless])
    assert share < script("report").CAUGHT
