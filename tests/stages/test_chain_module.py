"""The torch module: constants are buffers, state is empty, and other exporters can read it."""

import io
import re

import numpy as np
import onnxruntime
import openvino
import pytest
import torch

from edgeprep.errors import DTypeError, RecipeError, ShapeError
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

STAGES = (
    Resize(size=31, mode="short"),
    CenterCrop(size=(28, 25)),
    Color(to="bgr"),
    Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Layout(),
)
CHAIN = Chain(input=ImageSpec(height=97, width=61), stages=STAGES)


@pytest.fixture
def batch(noise):
    return noise(97, 61)[None]


@pytest.fixture
def expected(batch):
    return CHAIN.apply(NumpyPrimitives(), batch)


def test_it_adds_nothing_to_a_checkpoint():
    module = ChainModule(CHAIN)
    assert not module.state_dict()
    assert not list(module.parameters())
    assert list(module.buffers())


def test_it_takes_batches_of_any_length(batch, expected):
    twice = torch.from_numpy(np.concatenate([batch, batch]))
    result = ChainModule(CHAIN)(twice).numpy()
    assert np.abs(result - np.concatenate([expected, expected])).max() <= 1e-5


def test_its_constants_move_with_it():
    moved = ChainModule(CHAIN).to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}


# torch's exporter warns about its own use of pytrees, by way of copyreg.
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")
def test_torch_exports_it_to_onnx(batch, expected):
    module = ChainModule(CHAIN).eval()
    program = torch.onnx.export(
        module, (torch.from_numpy(batch),), dynamo=True, opset_version=20, verbose=False
    )
    content = io.BytesIO()
    program.save(content)
    session = onnxruntime.InferenceSession(content.getvalue())
    (result,) = session.run(None, {session.get_inputs()[0].name: batch})
    assert np.abs(result - expected).max() <= 1e-5


# OpenVINO traces modules, which torch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_openvino_converts_it_without_onnx(batch, expected):
    module = ChainModule(CHAIN).eval()
    model = openvino.convert_model(module, example_input=torch.from_numpy(batch))
    model.reshape([1, 97, 61, 3])
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    result = openvino.Core().compile_model(model, "CPU", hints)(batch)[0]
    assert np.abs(result - expected).max() <= 1e-5


def test_a_free_size_is_refused():
    with pytest.raises(RecipeError, match="free size"):
        ChainModule(Chain(input=ImageSpec(), stages=STAGES))


@pytest.mark.parametrize(
    ("pictures", "error", "message"),
    [
        (
            torch.zeros(2, 9, 7, 3),
            DTypeError,
            "pictures: must be uint8, got torch.float32",
        ),
        (
            torch.zeros(2, 3, 9, 7, dtype=torch.uint8),
            ShapeError,
            "pictures: must have shape (N, 9, 7, 3), got (2, 3, 9, 7)",
        ),
        (
            torch.zeros(9, 7, 3, dtype=torch.uint8),
            ShapeError,
            "pictures: must have shape (N, 9, 7, 3), got (9, 7, 3)",
        ),
    ],
    ids=["floats", "channels first", "one picture"],
)
def test_what_are_no_pictures_is_refused(pictures, error, message):
    module = ChainModule(Chain(input=ImageSpec(height=9, width=7), stages=(Resize(size=(4, 4)),)))
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        module(pictures)
