"""`edgeprep import`: what another library has written down, printed for a recipe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.recipe import load_recipe
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain

Run = Callable[..., Any]
Project = Callable[..., Path]

# preprocessor_config.json of google/vit-base-patch16-224.
VIT = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 224, "width": 224},
}
VIT_TEXT = """\
[[preprocess]]
use  = "resize"
size = [224, 224]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.5, 0.5, 0.5]
"""
FILES = {
    "transformers": VIT,
    # config.json of timm/resnet50.a1_in1k, shortened.
    "timm": {
        "architecture": "resnet50",
        "num_classes": 1000,
        "pretrained_cfg": {
            "input_size": [3, 224, 224],
            "interpolation": "bicubic",
            "crop_pct": 0.95,
            "crop_mode": "center",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
    },
    # mobilenet-ssd of Open Model Zoo, model.yml.
    "openvino": {
        "model_optimizer_args": [
            "--input=data",
            "--mean_values=data[127.5]",
            "--scale_values=data[127.5]",
            "--reverse_input_channels",
        ]
    },
    # As the library's own example for CLIP.
    "onnxruntime-extensions": {
        "processor": {
            "transforms": [
                {"operation": {"type": "DecodeImage", "attrs": {"color_space": "RGB"}}},
                {
                    "operation": {
                        "type": "Resize",
                        "attrs": {"width": 231, "height": 224, "keep_aspect_ratio": 0},
                    }
                },
                {"operation": {"type": "CenterCrop", "attrs": {"width": 224, "height": 224}}},
                {"operation": {"type": "Rescale"}},
                {"operation": {"type": "Permute3D", "attrs": {"dims": [2, 0, 1]}}},
            ]
        }
    },
}
TEXTS = {
    "transformers": VIT_TEXT,
    "timm": """\
[[preprocess]]
use    = "resize"
size   = 235
mode   = "short"
method = "bicubic"
[[preprocess]]
use      = "center-crop"
size     = [224, 224]
rounding = "torchvision"
[[preprocess]]
use  = "normalize"
mean = [0.485, 0.456, 0.406]
std  = [0.229, 0.224, 0.225]
""",
    "openvino": """\
[[preprocess]]
use = "color"
to  = "bgr"
[[preprocess]]
use  = "normalize"
mean = [127.5, 127.5, 127.5]
std  = [127.5, 127.5, 127.5]
unit = "0..255"
""",
    "onnxruntime-extensions": """\
[[preprocess]]
use    = "resize"
size   = [224, 231]
method = "bicubic"
[[preprocess]]
use  = "center-crop"
size = [224, 224]
[[preprocess]]
use = "scale"
""",
}
OURS = """\
[[preprocess]]
use  = "resize"
size = [8, 8]
[[preprocess]]
use  = "normalize"
mean = [0.5, 0.5, 0.5]
std  = [0.25, 0.25, 0.25]
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration."""

    def write(config: object = VIT) -> Path:
        path = tmp_path / "config.json"
        path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
        return path

    return write


@pytest.mark.parametrize("kind", FILES)
def test_each_library_is_printed_for_a_recipe(
    edgeprep: Run, file: Callable[..., Path], kind: str
) -> None:
    for words in ((), ("--from", kind)):
        ended = edgeprep("import", file(FILES[kind]), *words)
        assert (ended.code, ended.stdout, ended.stderr) == (0, TEXTS[kind], "")


@pytest.mark.parametrize("kind", FILES)
def test_what_is_printed_makes_the_same_chain_in_a_recipe(
    edgeprep: Run, file: Callable[..., Path], project: Project, kind: str
) -> None:
    ended = edgeprep("import", file(FILES[kind]), "--format", "json")
    tables = json.loads(ended.stdout)["preprocess"]
    recipe = load_recipe(project({OURS: TEXTS[kind]}))
    image, registry = recipe.input.image, Registry(installed=False)
    pasted = Chain.build(recipe.preprocess, input=image, registry=registry)
    assert pasted == Chain.build(tables, input=image, registry=registry)
    # Type for type, too: 1 == True and 1 == 1.0 in Python.
    assert json.dumps(recipe.preprocess) == json.dumps(tables)


def test_a_recipe_with_it_runs(
    edgeprep: Run, file: Callable[..., Path], project: Project, pictures: dict[str, Path]
) -> None:
    text = edgeprep("import", file()).stdout
    ended = edgeprep("preprocess", project({OURS: text}), pictures["red"], "--format", "json")
    assert ended.code == 0
    last = json.loads(ended.stdout)["stages"][-1]
    assert (last["height"], last["width"], last["min"], last["layout"]) == (224, 224, -1, "nchw")


def test_machines_get_the_same(edgeprep: Run, file: Callable[..., Path], tmp_path: Path) -> None:
    path, output = file(), tmp_path / "part.toml"
    ended = edgeprep("import", path, "-o", output, "--format", "json")
    assert json.loads(ended.stdout) == {
        "schema_version": 1,
        "file": str(path),
        "from": "transformers",
        "output": str(output),
        "preprocess": [
            {"use": "resize", "size": [224, 224]},
            {"use": "normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        ],
    }
    assert output.read_text(encoding="utf-8") == VIT_TEXT


def test_a_network_that_takes_pictures_as_they_are(
    edgeprep: Run, file: Callable[..., Path]
) -> None:
    never = dict.fromkeys(("do_resize", "do_rescale", "do_normalize"), False)
    ended = edgeprep("import", file(VIT | never))
    assert ended.code == 0
    # A comment, so that it can be pasted as well.
    assert ended.stdout == (
        "# no stage is needed: the network takes levels of 0 to 255 as they are\n"
    )


def test_a_byte_order_mark_is_nothing(edgeprep: Run, file: Callable[..., Path]) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(VIT).encode()
    assert edgeprep("import", file(content)).stdout == VIT_TEXT


def test_what_is_there_is_not_replaced(
    edgeprep: Run, file: Callable[..., Path], tmp_path: Path
) -> None:
    path, output = file(), tmp_path / "part.toml"
    output.write_text("mine")
    ended = edgeprep("import", path, "-o", output)
    assert (ended.code, ended.stdout, output.read_text()) == (2, "", "mine")
    assert ended.stderr == (
        f"edgeprep: {output}: already exists; pass --overwrite (overwrite=True) to replace it\n"
    )
    assert edgeprep("import", path, "-o", output, "--overwrite").code == 0
    ended = edgeprep("import", path, "-o", path, "--overwrite")
    rule = "must be another file than what is read, got it"
    assert (ended.code, ended.stderr) == (2, f"edgeprep: {path}: {rule}\n")
    assert output.read_text(encoding="utf-8") == VIT_TEXT
