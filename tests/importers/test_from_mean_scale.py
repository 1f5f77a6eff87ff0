"""Means and scales as converters take them."""

import re

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.importers import from_mean_scale, from_openvino

# resnet-50-caffe2 and mobilenet-ssd of Open Model Zoo, model.yml.
RESNET = {
    "model_optimizer_args": [
        "--input_shape=[1, 3, 224, 224]",
        "--input=gpu_0/data",
        "--output=gpu_0/softmax",
        "--mean_values=gpu_0/data[103.53,116.28,123.675]",
        "--scale_values=gpu_0/data[57.375,57.12,58.395]",
        "--input_model=resnet.onnx",
    ]
}
SSD = {
    "model_optimizer_args": [
        "--input_shape=[1,3,300,300]",
        "--input=data",
        "--mean_values=data[127.5]",
        "--scale_values=data[127.5]",
        "--reverse_input_channels",
    ]
}


def affine(mean, std):
    return {"use": "normalize", "mean": mean, "std": std, "unit": "0..255"}


def test_the_mean_is_subtracted_first_and_channels_are_reversed_before(picture, run):
    mean, scale = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
    tables = from_mean_scale(mean, scale, reverse_channels=True)
    assert tables == ({"use": "color", "to": "bgr"}, affine(list(mean), list(scale)))
    want = (picture[..., ::-1].astype(np.float64) - mean) / scale
    np.testing.assert_allclose(run(tables, picture), want.transpose(2, 0, 1), atol=1e-5)


def test_pictures_that_arrive_the_other_way_round():
    assert from_mean_scale(reverse_channels=True, color="bgr") == ({"use": "color", "to": "rgb"},)


def test_one_number_counts_for_all_channels():
    assert from_mean_scale(127.5, 127.5) == (affine([127.5] * 3, [127.5] * 3),)
    assert from_mean_scale(127.5, color="grey") == (affine([127.5], [1.0]),)
    assert from_mean_scale(scale=[64]) == (affine([0.0] * 3, [64.0] * 3),)


def test_nothing_asked_is_nothing_done():
    assert from_mean_scale() == ()
    assert from_mean_scale(0, 1) == ()
    assert from_openvino({"reverse_input_channels": False}) == ()


def test_a_resize_comes_first_and_is_opencvs():
    plain = {"use": "resize", "size": [8, 9]}
    assert from_mean_scale(size=(8, 9)) == (plain | {"antialias": False},)
    assert from_mean_scale(size=(8, 9), antialias=True) == (plain,)


def test_arguments_of_the_model_optimizer_in_a_list():
    assert from_openvino(RESNET) == (
        {"use": "resize", "size": [224, 224], "antialias": False},
        affine([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]),
    )
    assert from_openvino(SSD) == (
        {"use": "resize", "size": [300, 300], "antialias": False},
        {"use": "color", "to": "bgr"},
        affine([127.5] * 3, [127.5] * 3),
    )


@pytest.mark.parametrize(
    "values",
    ["[127.5,127.5,127.5]", "(127.5, 127.5, 127.5)", "127.5", "data[127.5]", [127.5] * 3, 127.5],
)
def test_arguments_of_the_model_optimizer_by_name(values):
    expected = (affine([127.5] * 3, [1.0] * 3),)
    assert from_openvino({"mean_values": values, "compress_to_fp16": True}) == expected


def test_one_scale_for_all_is_another_argument():
    assert from_openvino({"scale": 255}) == from_mean_scale(scale=255.0)


def test_the_size_is_where_the_channels_are_not():
    resize = ({"use": "resize", "size": [8, 9], "antialias": False},)
    for shape in ([1, 3, 8, 9], "[1,8,9,3]", "1,3,8,9"):
        assert from_openvino({"input_shape": shape}) == resize
    assert from_openvino({"input_shape": [1, 8, 9, 3], "layout": "nhwc"}) == resize


def refused(compute, message):
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        compute()


def test_numbers_that_do_not_fit():
    refused(
        lambda: from_mean_scale([1, 2]),
        "mean: must be one number, or 3, one a channel, got [1.0, 2.0]",
    )
    refused(lambda: from_mean_scale(scale=0), "scale: must be above 0, got 0.0")
    refused(lambda: from_mean_scale("1"), "mean: must be numbers, got '1'")
    refused(lambda: from_mean_scale(size=8), "size: must be (height, width) in pixels, got 8")
    refused(
        lambda: from_mean_scale(reverse_channels=True, color="grey"),
        "color: must be 'rgb' or 'bgr' to be reversed, got 'grey'",
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"mean_values": "a[1,2,3],b[1,2,3]"},
            (
                "mean_values: must be for one input, got 'a[1,2,3],b[1,2,3]'; keep the numbers of "
                "the one that takes pictures"
            ),
        ),
        (
            {"mean_values": "[1;2;3]"},
            "mean_values: must be numbers, such as [104.0,117.0,123.0], got '[1;2;3]'",
        ),
        (
            {"scale": 2, "scale_values": [2]},
            "scale: must be left out where there are scale_values, got 2",
        ),
        (
            {"reverse_input_channels": "yes"},
            "reverse_input_channels: must be true or false, got 'yes'",
        ),
        (
            {"input_shape": [1, 3, 224]},
            "input_shape: must have 4 lengths, such as [1, 3, 224, 224], got [1, 3, 224]",
        ),
        (
            {"input_shape": [1, 4, 8, 8]},
            "input_shape: must have 3 channels, in the order NCHW or NHWC, got [1, 4, 8, 8]",
        ),
        (
            {"mean_value": [1, 2, 3]},
            (
                "mean_value: must be a key whose meaning is known, got 'mean_value'; delete it if "
                "it does not change pixels, else write these stages by hand"
            ),
        ),
        (
            {"model_optimizer_args": "--scale=2"},
            "model_optimizer_args: must be an array of strings, got '--scale=2'",
        ),
    ],
)
def test_arguments_that_are_wrong(config, message):
    refused(lambda: from_openvino(config), message)
