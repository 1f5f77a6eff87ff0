"""Slow float64 references, written from the formulas alone, and the engines that must meet them."""

import warnings
from collections.abc import Callable, Iterator
from math import floor

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from sklearn.datasets import load_sample_image

from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.onnx_module import OnnxModule
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep_openvino._signals import kept_signal_stack

Picture = NDArray[np.uint8]
Reference = Callable[[NDArray[np.generic], int, int], NDArray[np.float64]]
Engine = Callable[[Chain, Picture], NDArray[np.float32]]


def _bilinear_matrix(length_in: int, length_out: int) -> NDArray[np.float64]:
    """Two clamped neighbours around the centre, weighted by distance."""
    matrix = np.zeros((length_out, length_in))
    for i in range(length_out):
        centre = (i + 0.5) * length_in / length_out - 0.5
        below = floor(centre)
        for j, weight in ((below, below + 1 - centre), (below + 1, centre - below)):
            matrix[i, min(max(j, 0), length_in - 1)] += weight
    return matrix


def _antialiased_matrix(length_in: int, length_out: int) -> NDArray[np.float64]:
    """PREPROCESSING: relu(1 - |j + 0.5 - (i + 0.5) n_in / n_out| / s), rows normalized."""
    s = max(length_in / length_out, 1.0)
    matrix = np.zeros((length_out, length_in))
    j = np.arange(length_in)
    for i in range(length_out):
        matrix[i] = np.maximum(1 - abs(j + 0.5 - (i + 0.5) * length_in / length_out) / s, 0)
        matrix[i] /= matrix[i].sum()
    return matrix


def _bicubic_matrix(length_in: int, length_out: int) -> NDArray[np.float64]:
    """Keys' cubic with a = -0.5, in the polynomials of his paper, widened like the triangle."""
    s, a = max(length_in / length_out, 1.0), -0.5
    matrix = np.zeros((length_out, length_in))
    j = np.arange(length_in)
    for i in range(length_out):
        t = abs(j + 0.5 - (i + 0.5) * length_in / length_out) / s
        matrix[i, t < 2] = (a * (t**3 - 5 * t**2 + 8 * t - 4))[t < 2]
        matrix[i, t < 1] = ((a + 2) * t**3 - (a + 3) * t**2 + 1)[t < 1]
        matrix[i] /= matrix[i].sum()
    return matrix


def _area_matrix(length_in: int, length_out: int) -> NDArray[np.float64]:
    """The covered part of each input pixel, in whole numbers of 1 / length_out pixels."""
    matrix = np.zeros((length_out, length_in))
    j = np.arange(length_in)
    for i in range(length_out):
        low = np.maximum(i * length_in, j * length_out)
        high = np.minimum((i + 1) * length_in, (j + 1) * length_out)
        matrix[i] = np.maximum(high - low, 0) / length_in
    return matrix


MATRICES = {
    "bilinear": _bilinear_matrix,
    "antialiased": _antialiased_matrix,
    "area": _area_matrix,
    "bicubic": _bicubic_matrix,
}


@pytest.fixture(params=list(MATRICES))
def family(request: pytest.FixtureRequest) -> str:
    """The four resizes."""
    return str(request.param)


@pytest.fixture
def options(family: str) -> dict[str, object]:
    """The recipe's words for `family`."""
    return {
        "bilinear": {"antialias": False},
        "antialiased": {"antialias": True},
        "area": {"method": "area"},
        "bicubic": {"method": "bicubic"},
    }[family]


@pytest.fixture
def slow_resize(family: str) -> Reference:
    """`(H, W, C)` to `(height, width, C)`, float64, by two dense matrices."""

    def resize(picture: NDArray[np.generic], height: int, width: int) -> NDArray[np.float64]:
        rows = MATRICES[family](picture.shape[0], height)
        columns = MATRICES[family](picture.shape[1], width)
        across = np.tensordot(rows, picture.astype(np.float64), axes=(1, 0))
        resized = np.tensordot(across, columns, axes=(1, 1)).transpose(0, 2, 1)
        return np.clip(resized, 0, 255) if family == "bicubic" else resized

    return resize


def _numpy(chain: Chain, picture: Picture) -> NDArray[np.float32]:
    return chain.apply(NumpyPrimitives(), picture[None])


def _torch(chain: Chain, picture: Picture) -> NDArray[np.float32]:
    return ChainModule(chain)(torch.from_numpy(picture[None])).numpy()


def _onnxruntime(chain: Chain, picture: Picture) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(build_onnx(chain), options)
    return session.run(None, {"image": picture[None]})[0]


def _openvino(chain: Chain, picture: Picture) -> NDArray[np.float32]:
    core = openvino.Core()
    # The CPU's default of bfloat16 alone is half a level to a level off.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(build_onnx(chain)), "CPU", hints)
    return compiled(picture[None])[0]


ENGINES: dict[str, Engine] = {
    "numpy": _numpy,
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engines that are quick to build for; LiteRT has a test file of its own."""
    return ENGINES[request.param]


@pytest.fixture
def litert() -> Engine:
    """What LiteRT's converter makes of the torch module; it takes seconds, so few tests use it."""
    import litert_torch  # here, as it takes long to import

    def run(chain: Chain, picture: Picture) -> NDArray[np.float32]:
        batch = picture[None]
        with warnings.catch_warnings():
            # torch.export warns about itself, by way of copyreg.
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
            return litert_torch.convert(ChainModule(chain).eval(), (torch.from_numpy(batch),))(
                batch
            )

    return run


def _one_node(operator, inputs, opset, outputs, attributes):
    """A model of one node, and what arrives at it; inputs in a list are constants of the graph."""
    names = ["" if value is None else f"x{index}" for index, value in enumerate(inputs)]
    given = {name: x for name, x in zip(names, inputs, strict=True) if isinstance(x, np.ndarray)}
    made = [f"y{index}" for index in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, made, name="node", **attributes)],
        "one node",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in given.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in made],
        [
            numpy_helper.from_array(value[0], name)
            for name, value in zip(names, inputs, strict=True)
            if isinstance(value, list)
        ],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=opsets, ir_version=9)
    )
    for output in model.graph.output:
        if not output.type.HasField("tensor_type"):  # functions such as GroupNormalization
            output.type.CopyFrom(model.graph.input[0].type)
    return model.SerializeToString(), given


@pytest.fixture
def hold_to_onnx_runtime() -> Callable[..., None]:
    """Compare what the ONNX module and ONNX Runtime make of a model of one node."""

    def check(operator, *inputs, opset=20, outputs=1, **attributes):
        model, given = _one_node(operator, inputs, opset, outputs, attributes)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        expected = onnxruntime.InferenceSession(model, options).run(None, given)
        found = [y.numpy() for y in OnnxModule(model)(*map(torch.from_numpy, given.values()))]
        assert [(y.dtype, y.shape) for y in found] == [(y.dtype, y.shape) for y in expected]
        for mine, theirs in zip(found, expected, strict=True):
            # Sums in another order: a few units of the last of 24 bits.
            tolerance = (2e-5, 5e-6) if theirs.dtype.kind == "f" else (0, 0)
            np.testing.assert_allclose(mine, theirs, *tolerance)

    return check


@pytest.fixture(scope="session")
def photo() -> Picture:
    """A real photograph, `(427, 640, 3)`, RGB."""
    return load_sample_image("china.jpg").copy()


@pytest.fixture
def noise() -> Callable[[int, int], Picture]:
    """Pictures with the worst gradients there are, the same in every run."""
    rng = np.random.default_rng(7)
    return lambda height, width: rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _drawn(height: int, width: int, level: Callable[..., NDArray[np.int64]]) -> Picture:
    levels = level(*np.indices((height, width))) % 256
    return np.stack([levels, 255 - levels, levels // 2], axis=-1).astype(np.uint8)


# RGB, some from the photo: what histograms, filters and edges are hard to get right on.
SUBJECTS: dict[str, Callable[[Picture], Picture]] = {
    "photo": lambda photo: photo[40:401, 100:417],
    "part of the photo": lambda photo: photo[110:175, 230:309],
    "noise": lambda _: np.random.default_rng(3).integers(0, 256, (61, 47, 3), dtype=np.uint8),
    "few levels": lambda _: np.random.default_rng(4).integers(99, 103, (35, 64, 3), dtype=np.uint8),
    "one level": lambda _: np.full((9, 14, 3), 77, np.uint8),
    "checkerboard": lambda _: _drawn(17, 24, lambda row, column: (row + column) % 2 * 255),
    "gradient": lambda _: _drawn(40, 70, lambda row, column: 2 * row + column),
    "impulse": lambda _: _drawn(13, 12, lambda row, column: (row == 5) * (column == 8) * 255),
    "one pixel": lambda _: np.array([[[200, 30, 90]]], np.uint8),
    "one row": lambda photo: photo[200:201, 100:113],
    "two columns": lambda photo: photo[200:207, 300:302],
}


@pytest.fixture(params=list(SUBJECTS))
def subject(request: pytest.FixtureRequest, photo: Picture) -> Picture:
    """Hard pictures, `(H, W, 3)`, RGB."""
    return SUBJECTS[request.param](photo).copy()


@pytest.fixture(params=["part of the photo", "noise", "one pixel"])
def small_subject(request: pytest.FixtureRequest, photo: Picture) -> Picture:
    """Three of them: engines take a while to build for every size."""
    return SUBJECTS[request.param](photo).copy()


@pytest.fixture(autouse=True)
def _signal_stack() -> Iterator[None]:
    """Cores of OpenVINO that go in another order than they came leave signals without a stack."""
    with kept_signal_stack():
        yield
