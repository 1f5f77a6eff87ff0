"""The exporter without torch: models made by hand, and what is wrong with them."""

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeprep.errors import ExportError
from edgeprep.interfaces import Precision, Quantization, Source
from edgeprep.tensors import TensorSpec
from edgeprep_onnx import OnnxExporter
from edgeprep_onnx._graph import sort_nodes
from edgeprep_onnx._quantize import kept_values

SHAPE = [1, 3, 4, 4]


def model_of(
    nodes: list[onnx.NodeProto], takes: tuple[str, int, list[int]], gives: tuple[str, list[int]]
) -> bytes:
    weight = np.random.default_rng(0).normal(size=(2, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info(*takes)],
        [helper.make_tensor_value_info(gives[0], TensorProto.FLOAT, gives[1])],
        [numpy_helper.from_array(weight, "network.head.weight")],
    )
    opsets = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def source_of(scratch: Path, **changes: Any) -> Source:
    """A source of one convolution; `changes` replace its attributes."""
    values = {
        "preprocessing_onnx": model_of(
            [
                helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
                helper.make_node("Transpose", ["pixels"], ["preprocessed"], perm=[0, 3, 1, 2]),
            ],
            ("image", TensorProto.UINT8, [1, 4, 4, 3]),
            ("preprocessed", SHAPE),
        ),
        "network_onnx": model_of(
            [helper.make_node("Conv", ["preprocessed", "network.head.weight"], ["scores"])],
            ("preprocessed", TensorProto.FLOAT, SHAPE),
            ("scores", [1, 2, 4, 4]),
        ),
        "input": TensorSpec(name="image", shape=(1, 4, 4, 3), dtype="uint8"),
        "network_input": TensorSpec(name="preprocessed", shape=(1, 3, 4, 4), dtype="float32"),
        "outputs": (TensorSpec(name="scores", shape=(1, 2, 4, 4), dtype="float32"),),
        "calibration_preprocessed": np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4),
        "keep_float": (),
        "quantization": Quantization(),
        "scratch": scratch,
    }
    values |= changes
    taken = values["network_input"]
    # Nothing is remembered: what is taken are pictures alone.
    alone = {
        "inputs": (values["input"],),
        "network_inputs": (taken,),
        "states": (),
        "calibration_states": (),
        "network_feeds": lambda: ((row[None],) for row in values["calibration_preprocessed"]),
    }
    return cast(Source, SimpleNamespace(**alone, **values))


def fault(source: Source, precision: Precision, opset: int = 20) -> ExportError:
    with pytest.raises(ExportError, match="exporter 'onnx': ") as caught:
        OnnxExporter(opset=opset).export(source, precision)
    return caught.value


def digest(scratch: Path) -> str:
    """Of the int8 model; the quantizer has a warning for the scale of the norm."""
    network = model_of(
        [
            helper.make_node("Conv", ["preprocessed", "network.head.weight"], ["wide"]),
            helper.make_node("Constant", [], ["scale"], value_floats=[1.0, 2.0]),
            helper.make_node("InstanceNormalization", ["wide", "scale", "scale"], ["scores"]),
        ],
        ("preprocessed", TensorProto.FLOAT, SHAPE),
        ("scores", [1, 2, 4, 4]),
    )
    model = OnnxExporter().export(source_of(scratch, network_onnx=network), "int8")
    return hashlib.sha256(model.files["model.onnx"]).hexdigest()


def in_a_fresh_process(seed: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        f"import {Path(__file__).stem} as this; print(this.digest(Path({str(scratch)!r})))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_bytes_do_not_depend_on_the_process(tmp_path: Path, seed: str) -> None:
    # Sets of strings have another order in every process, and the quantizer uses them.
    (tmp_path / "other").mkdir()
    fresh = in_a_fresh_process(seed, tmp_path / "other")
    assert fresh.stdout.strip() == digest(tmp_path)


def test_quantizing_warns_nobody_through_the_root_logger(tmp_path: Path) -> None:
    assert in_a_fresh_process("1", tmp_path).stderr == ""


def test_a_network_that_is_no_onnx_is_an_error_with_its_cause(tmp_path: Path) -> None:
    error = fault(source_of(tmp_path, network_onnx=b"nonsense"), "fp32")
    assert str(error).startswith(
        "exporter 'onnx': reading the network must succeed, got \"DecodeError: "
    )
    assert type(error.__cause__).__name__ == "DecodeError"


def test_int8_without_samples_is_an_error(tmp_path: Path) -> None:
    samples = np.zeros((0, 3, 4, 4), np.float32)
    error = fault(source_of(tmp_path, calibration_preprocessed=samples), "int8")
    assert str(error) == "exporter 'onnx': int8 needs calibration samples, got 0"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_int8_with_a_sample_that_is_not_finite_is_an_error(tmp_path: Path, value: float) -> None:
    samples = np.zeros((2, 3, 4, 4), np.float32)
    samples[1, 2, 3, 3] = value
    error = fault(source_of(tmp_path, calibration_preprocessed=samples), "int8")
    assert str(error) == ("exporter 'onnx': int8 needs finite calibration samples, got nan or inf")


def test_int8_of_a_network_that_overflows_is_an_error(tmp_path: Path) -> None:
    network = model_of(
        [
            helper.make_node("Exp", ["preprocessed"], ["grown"]),
            helper.make_node("Conv", ["grown", "network.head.weight"], ["scores"]),
        ],
        ("preprocessed", TensorProto.FLOAT, SHAPE),
        ("scores", [1, 2, 4, 4]),
    )
    samples = np.zeros((2, 3, 4, 4), np.float32)
    samples[1, 2, 3, 3] = 100
    changes = {"network_onnx": network, "calibration_preprocessed": samples}
    error = fault(source_of(tmp_path, **changes), "int8")
    assert str(error) == (
        "exporter 'onnx': int8 needs finite values of 'grown' over the calibration samples, "
        "got 1.0 to inf"
    )


def test_int8_of_a_network_kept_in_float_is_an_error(tmp_path: Path) -> None:
    error = fault(source_of(tmp_path, keep_float=("network",)), "int8")
    assert str(error) == (
        "exporter 'onnx': int8 needs an operator that can be quantized, got only ['Conv'], "
        "1 of 1 kept in float"
    )


def test_an_opset_that_cannot_say_it_is_an_error(tmp_path: Path) -> None:
    # Gelu came with opset 20, and nothing translates it.
    network = model_of(
        [helper.make_node("Gelu", ["preprocessed"], ["scores"])],
        ("preprocessed", TensorProto.FLOAT, SHAPE),
        ("scores", SHAPE),
    )
    error = fault(source_of(tmp_path, network_onnx=network), "fp32", opset=18)
    assert str(error).startswith("exporter 'onnx': conversion to opset 18 must succeed, got ")
    assert error.__cause__ is not None


def test_outputs_other_than_those_of_the_source_are_an_error(tmp_path: Path) -> None:
    outputs = (TensorSpec(name="boxes", shape=(1, 2, 4, 4), dtype="float32"),)
    error = fault(source_of(tmp_path, outputs=outputs), "fp32")
    assert str(error) == (
        "exporter 'onnx': outputs of the graph must be [('boxes', 'float32', (1, 2, 4, 4))], "
        "got [('scores', 'float32', (1, 2, 4, 4))]"
    )


def test_names_in_the_preprocessing_do_not_clash_with_those_of_the_network(tmp_path: Path) -> None:
    network = model_of(
        [
            helper.make_node("Conv", ["preprocessed", "network.head.weight"], ["pixels"]),
            helper.make_node("Relu", ["pixels"], ["scores"]),
        ],
        ("preprocessed", TensorProto.FLOAT, SHAPE),
        ("scores", [1, 2, 4, 4]),
    )
    model = OnnxExporter().export(source_of(tmp_path, network_onnx=network), "fp32")
    nodes = onnx.load_from_string(model.files["model.onnx"]).graph.node
    assert [list(node.output) for node in nodes] == [
        ["preprocessing/pixels"],
        ["preprocessing/preprocessed"],
        ["pixels"],
        ["scores"],
    ]


def test_nodes_are_sorted_behind_what_they_read_also_from_inside_a_branch() -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["late"], ["picked"])],
        "branch",
        [],
        [helper.make_tensor_value_info("picked", TensorProto.FLOAT, [1])],
    )
    nodes = [
        helper.make_node("If", ["choice"], ["result"], then_branch=inner, else_branch=inner),
        helper.make_node("Relu", ["given"], ["late"]),
    ]
    graph = helper.make_graph(nodes, "unsorted", [], [])
    sort_nodes(graph)
    assert [node.op_type for node in graph.node] == ["Relu", "If"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("network.head", {"wide"}),
        ("network.head.1", {"wide"}),
        ("network.header", {"other"}),
        ("network.hea", set()),
        ("relu", set()),  # the last scope names the node
        ("network", {"wide", "other", "weighed"}),
        ("network.stem", {"weighed"}),
    ],
)
def test_nodes_belong_to_the_modules_of_their_scope_and_of_their_weights(
    path: str, kept: set[str]
) -> None:
    def scoped(*scopes: str, node: onnx.NodeProto) -> onnx.NodeProto:
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(["", *scopes]))
        return node

    graph = helper.make_graph(
        [
            scoped(
                "network", "network.head", "network.head.1", "relu",
                node=helper.make_node("Relu", ["a"], ["wide"]),
            ),
            scoped(
                "network", "network.header", "relu_1",
                node=helper.make_node("Relu", ["wide"], ["other"]),
            ),
            helper.make_node("Mul", ["other", "network.stem.weight"], ["weighed"]),
        ],
        "scopes",
        [],
        [],
        [numpy_helper.from_array(np.ones(1, np.float32), "network.stem.weight")],
    )  # fmt: skip
    assert kept_values(helper.make_model(graph), (path,)) == kept
