"""Maps at the size of the camera's picture, against an engine's Resize and by hand."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.tasks.resampling import bands, looked_at, nearest, resample


def resized(maps, height, width):
    """By ONNX Runtime: bilinear, half-pixel centres."""
    node = helper.make_node(
        "Resize",
        ["x", "", "", "sizes"],
        ["y"],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    graph = helper.make_graph(
        [node],
        "resize",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None] * 4),
            helper.make_tensor_value_info("sizes", TensorProto.INT64, [4]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sizes = np.array([1, len(maps), height, width])
    return session.run(None, {"x": maps[None], "sizes": sizes})[0][0]


@pytest.mark.parametrize("size", [(20, 30), (7, 9), (5, 40), (8, 12), (1, 1)])
def test_a_plain_resize_is_that_of_onnx(size):
    maps = np.random.default_rng(0).normal(size=(3, 8, 12)).astype(np.float32)
    height, width = size
    frame = Frame(height, width, (16, 24), (Affine.scaled(width / 24, height / 16),))
    # Both in float32, of numbers around 1.
    np.testing.assert_allclose(resample(maps, frame), resized(maps, height, width), atol=2e-6)


def test_what_is_seen_as_it_is_stays_exactly():
    maps = np.random.default_rng(1).normal(size=(2, 5, 7)).astype(np.float32)
    assert (resample(maps, Frame(5, 7, (5, 7), (IDENTITY,))) == maps).all()


def test_a_letterbox_is_taken_off_again():
    maps = np.zeros((1, 6, 4), np.float32)
    maps[0, 1:5] = [[1, 2, 3, 4]] * 4
    maps[0, [0, 5]] = 99  # the border, which is of no picture
    frame = Frame(4, 4, (6, 4), (Affine.scaled(1.0, 1.0, 0.0, -1.0),))
    assert (resample(maps, frame) == maps[:, 1:5]).all()


def test_beyond_what_was_seen_the_nearest_value_stands():
    maps = np.array([[[1.0, 2.0]]], np.float32)
    frame = Frame(1, 4, (1, 2), (Affine.scaled(1.0, 1.0, 1.0, 0.0),))
    assert resample(maps, frame).tolist() == [[[1, 1, 2, 2]]]


@pytest.mark.parametrize("turned", [False, True])
def test_bands_are_the_rows_of_the_whole(turned):
    maps = np.random.default_rng(2).normal(size=(40, 6, 9)).astype(np.float32)
    back = Affine((0.0, -40.0, 300.0), (40.0, 0.0, 0.0)) if turned else Affine.scaled(40.0, 60.0)
    frame = Frame(360, 360, (6, 9), (back,))
    rows = [len(band[0]) for band in bands(maps, frame)]
    assert len(rows) > 3
    assert sum(rows) == 360
    assert (np.concatenate(list(bands(maps, frame)), axis=1) == resample(maps, frame)).all()


def test_of_classes_the_nearest_stands():
    # Turned as below: the network's (x, y) is (4 - y, x) of the picture.
    classes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    turned = Frame(3, 4, (4, 3), (Affine((0.0, -1.0, 4.0), (1.0, 0.0, 0.0)),))
    assert (nearest(np.rot90(classes), turned) == classes).all()
    larger = Frame(6, 8, (3, 4), (Affine.scaled(2.0, 2.0),))
    assert (nearest(classes, larger) == classes.repeat(2, 0).repeat(2, 1)).all()


def test_a_crop_is_known_for_what_it_is():
    crop = Frame(4, 6, (8, 8), (Affine.scaled(0.5, 0.5, 2.0, 0.0),))
    assert looked_at(crop).all(axis=0).tolist() == [False, False, True, True, True, True]
    turned = Frame(4, 6, (6, 2), (Affine((0.0, -1.0, 6.0), (1.0, 0.0, 1.0)),))
    assert looked_at(turned).all(axis=1).tolist() == [False, True, True, False]
    letterbox = Frame(4, 4, (6, 4), (Affine.scaled(1.0, 1.0, 0.0, -1.0),))
    assert looked_at(letterbox).all()
    # A resize by no whole number.
    assert looked_at(Frame(7, 3, (3, 1), (Affine.scaled(3.0, 7 / 3),))).all()


def test_mirrored_and_turned_pictures_come_back():
    picture = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    mirrored = Frame(3, 4, (3, 4), (Affine((-1.0, 0.0, 4.0), (0.0, 1.0, 0.0)),))
    assert (resample(picture[:, :, ::-1], mirrored) == picture).all()
    # Turned by a quarter to the left: the network's (x, y) is (4 - y, x) of the picture.
    turned = Frame(3, 4, (4, 3), (Affine((0.0, -1.0, 4.0), (1.0, 0.0, 0.0)),))
    assert (resample(np.rot90(picture, 1, (1, 2)), turned) == picture).all()
