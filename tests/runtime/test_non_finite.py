"""Outputs that are no numbers: never an answer, on a real engine."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import TensorProto, helper

import edgeprep
from edgeprep.bundle import Manifest, write_bundle
from edgeprep.errors import NonFiniteOutput
from edgeprep.runtime import Session
from edgeprep.runtime.outputs import all_finite
from edgeprep_onnx import OnnxRuntimeBackend

Picture = NDArray[np.uint8]

# The network is log(mean - 10): -inf for a channel of 10, NaN for one below.
LAST = 10


@pytest.fixture(params=["classify", "tensors"])
def session(
    request: pytest.FixtureRequest,
    manifest: Manifest,
    tmp_path: Path,
    fakes: SimpleNamespace,
) -> Iterator[Session]:
    labels = {"labels": ["red", "green", "blue"]} if request.param == "classify" else {}
    model = log_of_means()
    variant = replace(
        manifest.variants[0],
        format="onnx",
        files=("variants/fake-fp32/model.onnx",),
        size_bytes=len(model),
    )
    manifest = replace(manifest, task={"use": request.param, **labels}, variants=(variant,))
    pictures = np.random.default_rng(7).integers(40, 256, (4, 4, 4, 3), dtype=np.uint8)
    logits = np.log(pictures.mean(axis=(1, 2), dtype=np.float32) - LAST).tobytes()
    members = {
        "golden/graph/input.bin": pictures.tobytes(),
        "golden/graph/output-0.bin": logits,
        variant.golden_outputs[0]: logits,
        variant.files[0]: model,
    }
    path = tmp_path / "logs.edgeprep"
    write_bundle(path, manifest, members, overwrite=True)
    with edgeprep.open(path, probe=False, registry=fakes.registry(OnnxRuntimeBackend)) as session:
        yield session


def log_of_means() -> bytes:
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Sub", ["means", "last"], ["shifted"]),
        helper.make_node("Log", ["shifted"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "logs",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 4, 4, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [
            onnx.numpy_helper.from_array(np.array([1, 2]), "axes"),
            onnx.numpy_helper.from_array(np.array(LAST, np.float32), "last"),
        ],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return bytes(model.SerializeToString())


def picture_of(*channels: int) -> Picture:
    return np.broadcast_to(np.array(channels, np.uint8), (4, 4, 3)).copy()


def test_numbers_make_an_answer(session: Session) -> None:
    session(picture_of(11, 200, 30))
    np.testing.assert_allclose(
        session.outputs(picture_of(11, 200, 30))[0], np.log([[1, 190, 20]]), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        ((0, 100, 200), "1 NaN and 0 infinite"),
        ((10, 100, 10), "0 NaN and 2 infinite"),
        ((9, 10, 200), "1 NaN and 1 infinite"),
    ],
    ids=["NaN", "infinite", "both"],
)
def test_what_is_no_number_is_refused_with_where_how_many_and_what_to_do(
    session: Session, picture: tuple[int, ...], found: str
) -> None:
    message = (
        f"session 'means': output 'logits' of fake-fp32 onnxruntime cpu threads=1 must be finite, "
        f"got {found} of 3 numbers; outputs() gives them as they are, and another prefer= at open "
        "tells whether the network or this candidate is at fault"
    )
    with pytest.raises(NonFiniteOutput, match=f"^{re.escape(message)}$"):
        session(picture_of(*picture))


def test_in_a_batch_the_picture_is_named(session: Session) -> None:
    pictures = [picture_of(50, 60, 70), picture_of(50, 60, 10)]
    with pytest.raises(
        NonFiniteOutput,
        match=r"^session 'means': pictures\[1\]: output 'logits' of .* got 0 NaN and 1 infinite of",
    ):
        session.batch(pictures)


def test_outputs_are_there_to_be_looked_at_whatever_they_are(session: Session) -> None:
    (logits,) = session.outputs(picture_of(9, 10, 20))
    np.testing.assert_array_equal(logits, np.array([[np.nan, -np.inf, np.log(10)]], np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 77_777, 99_999])
def test_one_of_many_is_found_wherever_it_is(bad: float, place: int) -> None:
    boxes = np.full((1, 1000, 100), 3e38, np.float32)  # their sum is infinite, they are not
    assert all_finite((boxes,))
    boxes.flat[place] = bad
    assert not all_finite((np.zeros((1, 3), np.float32), boxes))
    assert not all_finite((np.asfortranarray(boxes),))


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint8, np.bool_])
def test_outputs_of_other_types_are_checked_too(dtype: type) -> None:
    assert all_finite((np.ones((1, 3), dtype),))
    assert all_finite((np.ones((1, 0), dtype),))
