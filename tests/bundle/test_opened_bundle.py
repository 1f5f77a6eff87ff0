"""What an opened bundle hands out."""

import re

import numpy as np
import pytest

from edgeprep.bundle import open_bundle
from edgeprep.errors import BundleError


@pytest.fixture
def bundle(path):
    return open_bundle(path)


def test_a_model_has_its_files_by_their_own_names(bundle, members):
    model = bundle.model(bundle.variant("openvino-int8"))

    assert model.format == "openvino"
    assert model.files == {"model.xml": b"<net/>", "model.bin": b""}
    assert model.size_bytes == bundle.variant("openvino-int8").size_bytes


def test_members_are_handed_out_without_a_copy(bundle):
    model = bundle.model(bundle.variant("onnx-fp32"))

    assert model.files["model.onnx"] is bundle.member("variants/onnx-fp32/model.onnx")


def test_golden_samples_are_the_arrays_that_were_packed(bundle):
    golden = bundle.golden(bundle.variant("openvino-int8"))

    pictures = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
    logits = np.array([[0.5, -1.0, 2.0], [1e-3, 0.0, -7.25]], dtype=np.float32)
    np.testing.assert_array_equal(golden.input, pictures, strict=True)
    np.testing.assert_array_equal(golden.source_outputs[0], logits, strict=True)
    np.testing.assert_array_equal(golden.outputs[0], logits * np.float32(1.5), strict=True)


def test_golden_samples_cannot_be_changed(bundle):
    golden = bundle.golden(bundle.variant("onnx-fp32"))

    with pytest.raises(ValueError, match="read-only"):
        golden.input[0, 0, 0, 0] = 1


def test_an_unknown_variant_is_answered_with_the_known_ones(bundle):
    rule = f"{bundle.path}: variant must be one of 'onnx-fp32', 'openvino-int8', got 'onnx-int8'"
    with pytest.raises(BundleError, match=f"^{re.escape(rule)}$"):
        bundle.variant("onnx-int8")


def test_an_unknown_member_is_named(bundle):
    rule = f"{bundle.path}: must have the member asked for, got 'card.md'"
    with pytest.raises(BundleError, match=f"^{re.escape(rule)}$"):
        bundle.member("card.md")


def test_a_bundle_prints_without_its_bytes(bundle):
    assert "<net/>" not in repr(bundle)
    assert "digits" in repr(bundle)
