"""INT8: what is quantized, what is left in float, and that it computes nearly the same."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import ExportError
from edgeprep.interfaces import Model, Runner
from edgeprep_openvino import OpenVINOExporter
from edgeprep_openvino._export import ROADS, export

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)

# By the shape of its weights, as openvino has it after grouping and folding.
SHAPES = {
    "stem.0": (8, 3, 3, 3),
    "body.0": (8, 1, 1, 5, 5),
    "body.2": (12, 8, 1, 1),
    "head": (5, 12),
}


def upstream(node: Any) -> list[Any]:
    """Every node that `node` depends on."""
    found: dict[str, Any] = {}
    waiting = [node]
    while waiting:
        for port in waiting.pop().input_values():
            if port.get_node().friendly_name not in found:
                found[port.get_node().friendly_name] = port.get_node()
                waiting.append(port.get_node())
    return list(found.values())


def quantized_layers(model: Any) -> set[str]:
    """The layers whose weights are stored as integers."""
    layers = set()
    for node in model.get_ops():
        if node.get_type_name() in {"Convolution", "GroupConvolution", "MatMul"}:
            shape = tuple(node.input(1).get_shape())
            weights = upstream(node.input_value(1).get_node())
            if any(str(one.get_element_type()) == "<Type: 'int8_t'>" for one in weights):
                layers |= {name for name, wanted in SHAPES.items() if wanted == shape}
    return layers


def test_int8_computes_nearly_what_torch_computes(
    make_source: Callable[..., NetworkSource], load: Callable[[Model], Runner]
) -> None:
    source = make_source()
    runner = load(OpenVINOExporter().export(source, "int8"))
    pictures = [picture[np.newaxis] for picture in source.calibration]
    for answers, truths in zip(
        zip(*(runner.run([picture]) for picture in pictures), strict=True),
        zip(*(source.run(picture) for picture in pictures), strict=True),
        strict=True,
    ):
        # Steps of 1/255 of the range at five places. Over all samples and not at the worst place:
        # nncf's ranges are means of the samples' extremes, so single peaks are cut off.
        error = np.linalg.norm(np.subtract(answers, truths)) / np.linalg.norm(truths)
        assert 0 < error <= 0.03


def test_nothing_is_printed(
    make_source: Callable[..., NetworkSource], capfd: pytest.CaptureFixture[str]
) -> None:
    OpenVINOExporter().export(make_source(), "int8")
    assert capfd.readouterr().out == ""


def test_quantization_starts_behind_the_preprocessing(
    make_source: Callable[..., NetworkSource], read: Callable[[Model], Any]
) -> None:
    model = read(OpenVINOExporter().export(make_source(), "int8"))
    front = [one for one in model.get_ops() if one.friendly_name.startswith("preprocessing/")]
    assert {one.get_type_name() for one in front} >= {"MatMul", "Convert"}
    for node in front:
        assert str(node.get_output_element_type(0)) != "<Type: 'int8_t'>", node.friendly_name
        kinds = {one.get_type_name() for one in upstream(node)}
        assert "FakeQuantize" not in kinds, node.friendly_name


@pytest.mark.parametrize("road", list(ROADS))
@pytest.mark.parametrize(
    ("module", "kept"),
    [
        ("stem.0", {"stem.0"}),
        ("stem", {"stem.0"}),
        ("body.0", {"body.0"}),
        ("body", {"body.0", "body.2"}),
        ("head", {"head"}),
    ],
)
def test_a_module_to_keep_in_float_is_kept_by_either_road(
    road: str,
    module: str,
    kept: set[str],
    make_source: Callable[..., NetworkSource],
    read: Callable[[Model], Any],
) -> None:
    model = export(make_source(keep_float=(module,)), "int8", {road: ROADS[road]})
    assert quantized_layers(read(model)) == set(SHAPES) - kept


def test_modules_that_have_nothing_to_quantize_may_be_named(
    make_source: Callable[..., NetworkSource], read: Callable[[Model], Any]
) -> None:
    # As the pattern stem.* names them: a batch norm that is folded away, and an activation.
    model = OpenVINOExporter().export(make_source(keep_float=("stem.1", "stem.2")), "int8")
    assert quantized_layers(read(model)) == set(SHAPES)


# What `runner` gives for the pictures, on a processor without VNNI: oneDNN can be told to be one.
WITHOUT_VNNI = """
import sys
from pathlib import Path
import numpy as np
from edgeprep_openvino import OpenVINOBackend
from edgeprep.interfaces import Model

folder = Path(sys.argv[1])
files = {name: (folder / name).read_bytes() for name in ("model.xml", "model.bin")}
backend = OpenVINOBackend()
runner = backend.load(
    Model(format="openvino", files=files), backend.devices()[0], {"threads": 1, "precision": "f32"}
)
pictures = np.load(folder / "pictures.npy")
np.save(folder / "answers.npy", [runner.run([picture[np.newaxis]])[0] for picture in pictures])
"""


def test_int8_does_not_saturate_on_older_processors(
    make_source: Callable[..., NetworkSource], tmp_path: Path
) -> None:
    # Weights of one sign in each channel: the sums of neighbours are as large as they get.
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    ).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            signs = torch.randn(len(parameter), *[1] * (parameter.dim() - 1)).sign()
            parameter.data = parameter.data.abs() * signs
    source = make_source(network)
    for name, content in OpenVINOExporter().export(source, "int8").files.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "pictures.npy", source.calibration)
    subprocess.run(
        [sys.executable, "-c", WITHOUT_VNNI, tmp_path],
        check=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
    )
    answers = np.load(tmp_path / "answers.npy")
    truths = np.array([source.run(picture[np.newaxis])[0] for picture in source.calibration])
    # Quantizing such weights costs 0.07 where sums have 32 bits; saturating costs 0.86.
    assert np.linalg.norm(answers - truths) / np.linalg.norm(truths) <= 0.15


class Attention(nn.Module):
    """Pixels attending to each other; its projection is computed without calling `out_proj`."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)
        self.out = nn.Linear(3, 7)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        tokens = preprocessed.flatten(2).transpose(1, 2)
        return self.out(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def test_weights_that_a_parent_uses_are_kept_with_the_parent(
    make_source: Callable[..., NetworkSource],
) -> None:
    torch.manual_seed(0)
    network = Attention().eval()
    exporter = OpenVINOExporter()
    part = exporter.export(make_source(network, ("attention.out_proj",)), "int8")
    whole = exporter.export(make_source(network, ("attention",)), "int8")
    none = exporter.export(make_source(network), "int8")
    integers = [one.files["model.xml"].count(b'element_type="i8"') for one in (part, whole, none)]
    assert integers[0] == integers[1] < integers[2]


class Untrained(nn.Module):
    """A batch norm that shifts nothing leaves no trace when it is folded."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.first(preprocessed))).mean((2, 3))


def test_a_module_to_keep_in_float_that_cannot_be_found_is_refused(
    make_source: Callable[..., NetworkSource],
) -> None:
    with pytest.raises(
        ExportError,
        match=(
            r"^exporter 'openvino': keep_float must name modules found in the converted network, "
            r"got 'network\.first'$"
        ),
    ):
        OpenVINOExporter().export(make_source(Untrained().eval(), ("first",)), "int8")


def test_what_nncf_cannot_do_is_said_in_one_line(
    make_source: Callable[..., NetworkSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_options: object) -> None:
        raise ValueError("a graph\nwith a cycle")

    monkeypatch.setattr("nncf.quantize", refuse)
    with pytest.raises(ExportError) as caught:  # noqa: PT011 -- the whole message is compared
        OpenVINOExporter().export(make_source(), "int8")
    assert str(caught.value) == (
        "exporter 'openvino': nncf must quantize the network, got 'a graph with a cycle'"
    )


def test_weights_of_eight_bits_take_a_third_of_the_file(
    make_source: Callable[..., NetworkSource],
) -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(
        nn.Conv2d(3, 256, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(256, 512, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(512, 400, 3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(400, 10),
    ).eval()
    assert sum(parameter.numel() for parameter in wide.parameters()) > 3_000_000
    source = make_source(wide)
    whole = OpenVINOExporter().export(source, "fp32").size_bytes
    assert OpenVINOExporter().export(source, "int8").size_bytes <= 0.35 * whole
