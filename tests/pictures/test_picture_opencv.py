"""OpenCV as the reference: what its `IMREAD_COLOR` reads is what we read."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeprep.pictures import read_picture

PIXELS = np.random.default_rng(7).integers(0, 256, (24, 18, 3), dtype=np.uint8)
# Smooth, so that the codecs' chroma filters have something to agree on.
SMOOTH = cv2.resize(PIXELS[:4, :3], (36, 48), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_png_is_read_as_opencv_reads_it(tmp_path, mode, orientation):
    path = tmp_path / "picture.png"
    if mode == "I;16":
        deep = np.random.default_rng(1).integers(0, 2**16, (24, 18), dtype=np.uint16)
        image = Image.fromarray(deep)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)

    reference = cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1]

    np.testing.assert_array_equal(read_picture(path), reference)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}]
)
def test_jpeg_is_read_as_opencv_reads_it(tmp_path, options):
    path = tmp_path / "picture.jpg"
    Image.fromarray(SMOOTH).save(path, **options)

    reference = cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)

    # Both are libjpeg-turbo, of releases that may round the colour conversion differently.
    assert np.abs(read_picture(path) - reference).max() <= 2


def test_what_opencv_writes_is_read(tmp_path):
    for name in ("x.png", "x.bmp"):
        path = tmp_path / name
        cv2.imwrite(str(path), PIXELS[:, :, ::-1])
        np.testing.assert_array_equal(read_picture(path), PIXELS)


def test_lossy_webp_is_read_as_opencv_reads_it(tmp_path):
    path = tmp_path / "picture.webp"
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, "WEBP", quality=80)
    path.write_bytes(stream.getvalue())

    reference = cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)

    assert np.abs(read_picture(path) - reference).max() <= 2
