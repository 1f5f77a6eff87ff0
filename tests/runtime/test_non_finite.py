"""Outputs that are no numbers: never an answer, on any engine."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import flatbuffers
import numpy as np
import onnx
import openvino as ov
import pytest
from ai_edge_litert import schema_py_generated as schema
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import TensorProto, helper

import edgeprep
from edgeprep.bundle import Manifest, write_bundle
from edgeprep.errors import NonFiniteOutput
from edgeprep.interfaces import Backend
from edgeprep.runtime import Session
from edgeprep.runtime.outputs import all_finite
from edgeprep_onnx import OnnxRuntimeBackend
from edgeprep_openvino import OpenVINOBackend
from edgeprep_tflite import LiteRTBackend

Picture = NDArray[np.uint8]

# The network is log(mean - 10): -inf for a channel of 10, NaN for one below.
LAST = 10


@pytest.fixture(
    params=[
        ("classify", "onnx"),
        ("tensors", "onnx"),
        ("classify", "openvino"),
        ("classify", "tflite"),
    ],
    ids=lambda pair: " on ".join(pair),
)
def session(
    request: pytest.FixtureRequest,
    manifest: Manifest,
    tmp_path: Path,
    fakes: SimpleNamespace,
) -> Iterator[Session]:
    task, form = request.param
    labels = {"labels": ["red", "green", "blue"]} if task == "classify" else {}
    make, backend = ENGINES[form]
    files = make()
    variant = replace(
        manifest.variants[0],
        format=form,
        files=tuple(f"variants/fake-fp32/{name}" for name in sorted(files)),
        size_bytes=sum(map(len, files.values())),
    )
    manifest = replace(manifest, task={"use": task, **labels}, variants=(variant,))
    pictures = np.random.default_rng(7).integers(40, 256, (4, 4, 4, 3), dtype=np.uint8)
    logits = np.log(pictures.mean(axis=(1, 2), dtype=np.float32) - LAST).tobytes()
    members = {
        "golden/graph/input.bin": pictures.tobytes(),
        "golden/graph/output-0.bin": logits,
        variant.golden_outputs[0]: logits,
        **{f"variants/fake-fp32/{name}": content for name, content in files.items()},
    }
    path = tmp_path / "logs.edgeprep"
    write_bundle(path, manifest, members, overwrite=True)
    with edgeprep.open(path, probe=False, registry=fakes.registry(backend)) as session:
        yield session


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """What messages call what runs the session."""
    form: str = request.node.callspec.params["session"][1]
    return CHOSEN[form]


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


def in_onnx() -> dict[str, bytes]:
    return {"model.onnx": log_of_means()}


def in_openvino() -> dict[str, bytes]:
    model = ov.Core().read_model(log_of_means(), b"")
    # What is read from ONNX gives the output's name to the node before it.
    result = model.outputs[0].get_node()
    result.input_value(0).get_node().set_friendly_name("log")
    result.set_friendly_name("logits")
    with TemporaryDirectory() as folder:
        ov.save_model(model, Path(folder) / "model.xml", compress_to_fp16=False)
        return {name: (Path(folder) / name).read_bytes() for name in ("model.xml", "model.bin")}


def in_tflite() -> dict[str, bytes]:
    """The same, written tensor by tensor, operator by operator."""
    operators, types = schema.BuiltinOperator, schema.TensorType
    shapes = {
        "image": ([1, 4, 4, 3], types.UINT8),
        "pixels": ([1, 4, 4, 3], types.FLOAT32),
        "axes": ([2], types.INT32),
        "means": ([1, 3], types.FLOAT32),
        "last": ([], types.FLOAT32),
        "shifted": ([1, 3], types.FLOAT32),
        "logits": ([1, 3], types.FLOAT32),
    }
    constants = {"axes": np.array([1, 2], np.int32), "last": np.array(LAST, np.float32)}
    names = list(shapes)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], []
    model.buffers, graph.tensors, graph.operators = [schema.BufferT()], [], []
    for name, (shape, kind) in shapes.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, 0
        if name in constants:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constants[name].tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
    for code, inputs, output in (
        (operators.CAST, ["image"], "pixels"),
        (operators.MEAN, ["pixels", "axes"], "means"),
        (operators.SUB, ["means", "last"], "shifted"),
        (operators.LOG, ["shifted"], "logits"),
    ):
        known, operator = schema.OperatorCodeT(), schema.OperatorT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 1
        operator.opcodeIndex = len(model.operatorCodes)
        operator.inputs, operator.outputs = [*map(names.index, inputs)], [names.index(output)]
        model.operatorCodes.append(known)
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [len(names) - 1]
    model.signatureDefs = [signature(graph)]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return {"model.tflite": bytes(builder.Output())}


def signature(graph: schema.SubGraphT) -> schema.SignatureDefT:
    found = schema.SignatureDefT()
    found.signatureKey, found.subgraphIndex = "serving_default", 0
    for side in ("inputs", "outputs"):
        (index,) = getattr(graph, side)
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = graph.tensors[index].name, index
        setattr(found, side, [entry])
    return found


ENGINES: dict[str, tuple[Callable[[], dict[str, bytes]], type[Backend]]] = {
    "onnx": (in_onnx, OnnxRuntimeBackend),
    "openvino": (in_openvino, OpenVINOBackend),
    "tflite": (in_tflite, LiteRTBackend),
}


CHOSEN = {
    "onnx": "onnxruntime cpu threads=1",
    "openvino": "openvino CPU threads=1 precision=f32",
    "tflite": "litert cpu threads=1",
}


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
    session: Session, engine: str, picture: tuple[int, ...], found: str
) -> None:
    message = (
        f"session 'means': output 'logits' of fake-fp32 {engine} must be finite, "
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


def test_in_a_stream_the_picture_is_named_and_the_next_one_is_answered(session: Session) -> None:
    pictures = [picture_of(50, 60, 70), picture_of(50, 60, 10), picture_of(70, 60, 50)]
    with session.stream(pictures, policy="every") as stream:
        assert next(stream).index == 0
        with pytest.raises(
            NonFiniteOutput,
            match=r"^session 'means': pictures\[1\]: output 'logits' of .* got 0 NaN",
        ):
            next(stream)
        assert next(stream).index == 2
        assert list(stream) == []


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
