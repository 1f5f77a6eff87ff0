"""Several pictures a call: in graphs that leave their number open, and in those that cannot."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, parser
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import BackendError
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep.tensors import TensorSpec
from edgeprep_onnx import OnnxExporter, OnnxRuntimeBackend
from edgeprep_onnx._batch import free_batch

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

MakeSource = Callable[..., NetworkSource]


def loaded(model: Model, **options: int) -> Runner:
    backend = OnnxRuntimeBackend()
    return backend.load(model, backend.devices()[0], {"threads": 1, **options})


def reason(model: Model) -> str:
    """Why a file takes one picture a call."""
    (metadata,) = onnx.load_from_string(model.files["model.onnx"]).metadata_props
    assert metadata.key == "edgeprep.fixed_batch"
    return metadata.value


def differences(
    model: Model, samples: NDArray[np.uint8], allowed: float
) -> Iterator[tuple[float, float]]:
    """Of each output, how far several at once are from each alone, and what that is held to."""
    single, many = loaded(model), loaded(model, batch=len(samples))
    alone = zip(*(single.run([sample[np.newaxis]]) for sample in samples), strict=True)
    for together, parts in zip(many.run([samples]), alone, strict=True):
        wanted = np.concatenate(parts)
        assert together.shape == wanted.shape
        yield float(np.abs(together - wanted).max()), allowed * float(np.abs(wanted).max())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-weight-only"])
def test_several_pictures_at_once_give_what_each_gives_alone(
    models: dict[Precision, Model], hard_samples: NDArray[np.uint8], precision: Precision
) -> None:
    # Orders of summation may differ.
    for difference, most in differences(models[precision], hard_samples, 1e-5):
        assert difference <= most


class Tokens(nn.Module):
    """Patches and a class token, heads of which the batch lies in the middle, and windows."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 6, 5)  # 30 by 22 pixels become 5 by 4 patches
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        self.place = nn.Parameter(torch.randn(1, 21, 8))
        self.attention = nn.MultiheadAttention(8, 2)  # takes (tokens, pictures, channels)
        self.head = nn.Linear(8, 4)

    def forward(self, preprocessed: torch.Tensor) -> dict[str, torch.Tensor]:
        patches = self.patches(preprocessed).flatten(2).transpose(1, 2)
        first = self.first.expand(len(preprocessed), -1, -1)
        tokens = (torch.cat([first, patches], 1) + self.place).transpose(0, 1)
        attended = self.attention(tokens, tokens, tokens, need_weights=False)[0].transpose(0, 1)
        plane = attended[:, 1:].transpose(1, 2).reshape(-1, 8, 5, 4)
        windows = plane.reshape(-1, 8, 5, 2, 2).permute(0, 3, 2, 4, 1).reshape(-1, 10, 8)
        joined = (windows - windows.mean(1, keepdim=True)).reshape(-1, 2, 5, 2, 8)
        mask = nn.functional.interpolate(
            joined.permute(0, 4, 2, 1, 3).reshape(-1, 8, 5, 4), size=(7, 9), mode="bilinear"
        )
        return {"scores": self.head(attended[:, 0]), "mask": mask}


def test_attention_with_a_class_token_takes_several_pictures(
    make_source: MakeSource, hard_samples: NDArray[np.uint8]
) -> None:
    torch.manual_seed(0)
    model = OnnxExporter().export(make_source(Tokens().eval()), "fp32")
    for difference, most in differences(model, hard_samples, 1e-5):
        assert difference <= most


class Mean(nn.Module):
    """Takes the mean over all pictures, of which torch sees one."""

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return (preprocessed - preprocessed.mean((0, 2, 3), keepdim=True)).mean((2, 3))


class Flat(nn.Module):
    """Lays all pictures out in a row before it sorts them."""

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return preprocessed.transpose(0, 1).reshape(3, -1).mean(1)[None]


@pytest.mark.parametrize(
    ("mixing", "said"),
    [
        (Mean(), "ReduceMean 'node_mean' merges pictures"),
        (Flat(), "output 'output' does not grow with the pictures"),
    ],
    ids=["mean", "row"],
)
def test_a_network_that_mixes_pictures_takes_one_and_says_why(
    make_source: MakeSource, hard_samples: NDArray[np.uint8], mixing: nn.Module, said: str
) -> None:
    source = make_source(mixing)
    model = OnnxExporter().export(source, "fp32")
    assert reason(model) == said
    single = loaded(model)
    for sample in hard_samples:
        (found,), (wanted,) = single.run([sample[None]]), source.run(sample[None])
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(BackendError, match="backend 'onnxruntime': ") as caught:
        loaded(model, batch=4)
    assert str(caught.value) == (
        f"backend 'onnxruntime': the graph must take 4 pictures, got 1; {said}"
    )


def test_ranges_of_the_moment_are_those_of_one_picture(models: dict[Precision, Model]) -> None:
    assert reason(models["int8-dynamic"]) == (
        "ranges of the moment would be those of all pictures together"
    )


def test_a_file_of_another_exporter_takes_the_pictures_that_it_says() -> None:
    content = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 18]>
        by_hand (float[1, 2] x) => (float[1, 2] y) { y = Neg(x) }"""
    ).SerializeToString()
    with pytest.raises(BackendError, match="backend 'onnxruntime': ") as caught:
        loaded(Model(format="onnx", files={"model.onnx": content}), batch=4)
    assert str(caught.value) == (
        "backend 'onnxruntime': the graph must take 4 pictures, got 1; "
        "the file was written for one number of them"
    )


def parsed(text: str) -> ModelProto:
    """A graph from `image`, `(1, 2, 3)`, to `y`."""
    return parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 18]>
        by_hand (float[1, 2, 3] image) => (float[1, 6] y) """
        + text
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "<int64[1] zero = {0}> { a = Gather <axis = 0> (image, zero) y = Flatten (a) }",
            "Gather '' chooses among pictures",
        ),
        (
            "{ a = Concat <axis = 0> (image, image) y = Flatten (a) }",
            "Concat '' puts pictures in a row",
        ),
        (
            "<int64[1] axes = {0}> { a = Squeeze (image, axes) y = Flatten <axis = 0> (a) }",
            "Squeeze '' merges pictures",
        ),
        (
            "{ a = Transpose <perm = [1, 0, 2]> (image) y = Flatten <axis = 2> (a) }",
            "Flatten '' merges pictures",
        ),
    ],
)
def test_what_mixes_pictures_is_named_and_nothing_is_changed(text: str, said: str) -> None:
    model = parsed(text)
    before = model.SerializeToString(deterministic=True)
    assert free_batch(model) == said
    assert model.SerializeToString(deterministic=True) == before


def test_axes_that_come_and_go_are_followed() -> None:
    model = parsed(
        "<int64[1] middle = {1}, int64[1] last = {-1}, int64 second = {1}, int64[2] flat = {6, 1}> "
        "{ a = Unsqueeze (image, middle) b = Transpose <perm = [1, 2, 0, 3]> (a) "
        "c = Squeeze (b) d = Squeeze (image, last) y = Flatten (image) }"
    )
    del model.graph.node[2:4]  # a squeeze that names no axes, and one of an axis above 1
    assert free_batch(model) is None
    runner = loaded(Model(format="onnx", files={"model.onnx": model.SerializeToString()}), batch=3)
    assert runner.inputs == (TensorSpec(name="image", shape=(3, 2, 3), dtype="float32"),)
    image = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    (found,) = runner.run([image])
    np.testing.assert_array_equal(found, image.reshape(3, 6))


def test_what_stands_between_two_values_of_a_picture_is_given_to_each_picture() -> None:
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 18]>
        by_hand (float[1, 2, 3] image) => (float[1, 5, 3] y)
        <float[1, 1, 3] token = {7, 8, 9}>
        { a = Neg (image) y = Concat <axis = 1> (image, token, a) }"""
    )
    assert free_batch(model) is None
    runner = loaded(Model(format="onnx", files={"model.onnx": model.SerializeToString()}), batch=2)
    image = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    token = np.full((2, 1, 3), [7, 8, 9], np.float32)
    (found,) = runner.run([image])
    np.testing.assert_array_equal(found, np.concatenate([image, token, -image], axis=1))


def test_a_shape_that_is_not_known_is_a_reason() -> None:
    model = parsed("{ a = Twice (image) y = Flatten (a) }")
    model.graph.node[0].domain = "nowhere"
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    assert free_batch(model) == "Twice '': the shape of 'a' is not known"


def test_a_graph_that_makes_several_rows_of_a_picture_is_left_as_it_is() -> None:
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 18]>
        by_hand (float[1, 2, 3] image) => (float[2, 3] y)
        <int64[2] rows = {2, 3}> { y = Reshape (image, rows) }"""
    )
    before = model.SerializeToString(deterministic=True)
    assert free_batch(model) == "output 'y' has 2 rows of one picture"
    assert model.SerializeToString(deterministic=True) == before
