"""Whose a file is, told by its keys."""

import re
import subprocess
import sys

import pytest

from edgeprep.errors import RecipeError
from edgeprep.importers import KINDS, from_json

SCALE = ({"use": "scale"},)
FILES = {
    "transformers": {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": False,
        "do_normalize": False,
    },
    "timm": {
        "input_size": [3, 8, 8],
        "crop_pct": 1,
        "crop_mode": "squash",
        "interpolation": "bilinear",
    },
    "openvino": {"scale_values": [255, 255, 255]},
    "onnxruntime-extensions": {
        "processor": {
            "transforms": [
                {"operation": {"type": "Rescale"}},
                {"operation": {"type": "Permute3D", "attrs": {"dims": [2, 0, 1]}}},
            ]
        }
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_library_is_told_by_its_keys(kind):
    told, tables = from_json(FILES[kind])
    assert told == kind
    assert from_json(FILES[kind], kind=kind) == (kind, tables)
    assert tables


def test_a_model_of_timm_in_the_clothes_of_transformers():
    config = {"model_type": "timm_wrapper", "pretrained_cfg": FILES["timm"]}
    assert from_json(config) == from_json(FILES["timm"])


def test_convnext_is_of_transformers_though_timm_has_its_crop_pct():
    config = {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "size": 224}
    assert from_json(config) == from_json(config, kind="transformers")


def test_a_file_of_no_library_that_is_known():
    message = (
        "must have a key that tells its library, such as 'pretrained_cfg', "
        "'image_processor_type', 'processor', 'model_optimizer_args', got ['a', 'hidden_size']; "
        "name the library with --from (kind=)"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_json({"hidden_size": 768, "a": 1})


def test_the_file_beside_the_one_that_is_meant():
    # config.json of google/vit-base-patch16-224, shortened.
    config = {
        "architectures": ["ViTForImageClassification"],
        "image_size": 224,
        "model_type": "vit",
    }
    message = (
        "must have a key that tells its library, such as 'pretrained_cfg', "
        "'image_processor_type', 'processor', 'model_optimizer_args', got ['architectures', "
        "'image_size', 'model_type']; this describes a network of transformers: "
        "take its preprocessor_config.json"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_json(config)


def test_what_is_no_object():
    with pytest.raises(RecipeError, match=r"^must be an object with keys, got \[1\]$"):
        from_json([1])


def test_a_kind_that_there_is_not():
    message = (
        "kind: must be 'auto' or one of ['transformers', 'timm', 'openvino', "
        "'onnxruntime-extensions'], got 'tim'; did you mean 'timm'?"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        from_json({}, kind="tim")


def test_none_of_these_libraries_is_imported():
    heavy = ("torch", "torchvision", "timm", "transformers", "PIL", "onnx", "openvino", "click")
    script = f"import edgeprep.importers, sys; print(*set({heavy!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == []
