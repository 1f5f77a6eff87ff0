"""What the pixels of a picture file are, whatever it stores them as."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from edgeprep.pictures import read_picture

A, B, C, D, E, F = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (9, 8, 7),
)


def rows(*pixels):
    return [bytes(value for pixel in row for value in pixel) for row in pixels]


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_pixels_come_as_they_are_stored(png, file):
    picture = read_picture(file(png(3, rows((A, B, C), (D, E, F)))))

    expected = np.array([[A, B, C], [D, E, F]], dtype=np.uint8)
    np.testing.assert_array_equal(picture, expected, strict=True)


def test_a_picture_is_contiguous_and_belongs_to_the_caller(png, file, exif):
    turned = png(3, rows((A, B, C), (D, E, F)), before=[(b"eXIf", exif(6))])

    for content in (png(3, rows((A, B, C))), turned):
        picture = read_picture(file(content))
        assert picture.flags.c_contiguous
        assert picture.flags.writeable


@pytest.mark.parametrize("path_type", [str, lambda path: path])
def test_a_path_may_be_text(png, file, path_type):
    path = path_type(file(png(1, rows((A,)))))

    assert read_picture(path).tolist() == [[list(A)]]


# The scene is A B / C D / E F. What a camera stores of it, by where it holds the first row and
# column. Source: TIFF 6.0, section 8, "Orientation".
STORED = {
    1: ((A, B), (C, D), (E, F)),  # top, left
    2: ((B, A), (D, C), (F, E)),  # top, right
    3: ((F, E), (D, C), (B, A)),  # bottom, right
    4: ((E, F), (C, D), (A, B)),  # bottom, left
    5: ((A, C, E), (B, D, F)),  # left, top
    6: ((B, D, F), (A, C, E)),  # right, top
    7: ((F, D, B), (E, C, A)),  # right, bottom
    8: ((E, C, A), (F, D, B)),  # left, bottom
}


@pytest.mark.parametrize("order", [">", "<"], ids=["big-endian", "little-endian"])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("orientation", STORED)
def test_up_is_up_in_all_orientations(png, file, exif, orientation, place, order):
    stored = STORED[orientation]
    chunks = {place: [(b"eXIf", exif(orientation, order))]}

    picture = read_picture(file(png(len(stored[0]), rows(*stored), **chunks)))

    np.testing.assert_array_equal(picture, [[A, B], [C, D], [E, F]])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_up_is_up_in_formats_that_lose_detail(file, exif, kind, orientation):
    # Fields of 16 × 16 pixels of one grey each: the largest error of the codec is far below half
    # of the distance between two of them, which is 20.
    greys = {pixel: 40 * index for index, pixel in enumerate((A, B, C, D, E, F))}
    stored = np.array([[greys[pixel] for pixel in row] for row in STORED[orientation]], np.uint8)
    fields = np.kron(stored, np.ones((16, 16), np.uint8))
    block = b"Exif\0\0" + exif(orientation)

    path = file(encoded(Image.fromarray(fields).convert("RGB"), kind, exif=block, quality=95))
    picture = read_picture(path)

    assert picture.shape == (48, 32, 3)
    middles = picture[8::16, 8::16, 0].astype(int)
    assert np.abs(middles - [[0, 40], [80, 120], [160, 200]]).max() < 20


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"no EXIF at all",
        b"MM\0*",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x09\0\0",
        b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0",
    ],
    ids=["empty", "text", "cut", "too many entries", "offset beyond the end", "9", "0"],
)
def test_an_exif_block_that_says_nothing_leaves_the_picture_as_it_is(png, file, block):
    content = png(2, rows((A, B)), before=[(b"eXIf", block)])

    assert read_picture(file(content)).tolist() == [[list(A), list(B)]]


def test_16_bit_grey_keeps_its_upper_half(png, file):
    # Where Pillow is left to itself, everything from 256 on is white.
    values = [0, 0x00FF, 0x0100, 0x01FF, 0x7FFF, 0x8000, 0xFFFF]
    content = png(7, [struct.pack(">7H", *values)], depth=16, color=0)

    expected = [[[level] * 3 for level in (0, 0, 1, 1, 127, 128, 255)]]
    assert read_picture(file(content)).tolist() == expected


def test_16_bit_colour_keeps_its_upper_half(png, file):
    content = png(1, [struct.pack(">3H", 0x01FF, 0x8000, 0xFFFF)], depth=16, color=2)

    assert read_picture(file(content)).tolist() == [[[1, 128, 255]]]


def test_16_bit_colour_with_alpha_keeps_its_upper_half(png, file):
    content = png(1, [struct.pack(">4H", 0x01FF, 0x8000, 0xFFFF, 0)], depth=16, color=6)

    assert read_picture(file(content)).tolist() == [[[1, 128, 255]]]


@pytest.mark.parametrize(
    ("depth", "row", "levels"),
    [
        (1, b"\xa0", (255, 0, 255)),
        (2, b"\x18", (0, 85, 170)),
        (4, b"\x0f\x70", (0, 255, 119)),
        (8, b"\x00\x80\xff", (0, 128, 255)),
    ],
)
def test_grey_of_all_depths_becomes_rgb(png, file, depth, row, levels):
    picture = read_picture(file(png(3, [row], depth=depth, color=0)))

    assert picture.tolist() == [[[level] * 3 for level in levels]]


@pytest.mark.parametrize(
    ("depth", "row"), [(1, b"\x50"), (2, b"\x11"), (4, b"\x01\x01"), (8, b"\0\1\0\1")]
)
def test_palettes_of_all_depths_become_rgb(png, file, depth, row):
    content = png(4, [row], depth=depth, color=3, before=[(b"PLTE", bytes(A + F))])

    assert read_picture(file(content)).tolist() == [[list(A), list(F)] * 2]


@pytest.mark.parametrize("alphas", [b"\0", b"\0\x80"], ids=["one", "each"])
def test_a_palette_with_transparent_colours_keeps_its_colours(png, file, alphas):
    chunks = [(b"PLTE", bytes(A + F)), (b"tRNS", alphas)]
    content = png(2, [b"\0\1"], color=3, before=chunks)

    assert read_picture(file(content)).tolist() == [[list(A), list(F)]]


@pytest.mark.parametrize("alpha", [0, 1, 128, 255])
def test_alpha_is_dropped_from_colours(png, file, alpha):
    content = png(2, rows(((*A, alpha), (*F, alpha))), color=6)

    assert read_picture(file(content)).tolist() == [[list(A), list(F)]]


def test_alpha_is_dropped_from_greys(png, file):
    content = png(2, [b"\x40\0\xc0\xff"], color=4)

    assert read_picture(file(content)).tolist() == [[[64] * 3, [192] * 3]]


def test_a_colour_that_stands_for_transparent_stays_that_colour(png, file):
    colour = png(2, rows((A, F)), before=[(b"tRNS", struct.pack(">3H", *F))])
    grey = png(2, [b"\x40\xc0"], color=0, before=[(b"tRNS", b"\0\x40")])

    assert read_picture(file(colour)).tolist() == [[list(A), list(F)]]
    assert read_picture(file(grey)).tolist() == [[[64] * 3, [192] * 3]]


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 255, 0), (0, 255, 0)),
        ((255, 255, 0, 0), (0, 0, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 55), (200, 200, 200)),
    ],
)
def test_cmyk_becomes_the_colour_that_it_prints(file, cmyk, rgb):
    image = Image.new("CMYK", (16, 16), cmyk)

    picture = read_picture(file(encoded(image, "JPEG", quality=100)))

    # One level is lost to rounding in the codec, one in the conversion.
    assert np.abs(picture.astype(int) - rgb).max() <= 2


def test_a_grey_jpeg_becomes_rgb(file):
    picture = read_picture(file(encoded(Image.new("L", (9, 5), 77), "JPEG", quality=100)))

    assert picture.shape == (5, 9, 3)
    assert np.unique(picture).tolist() == [77]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_of_all_kinds_is_read(file, mode):
    picture = np.zeros((3, 5, 3), np.uint8)
    picture[::2, ::2] = 255

    path = file(encoded(Image.fromarray(picture).convert(mode), "BMP"))

    np.testing.assert_array_equal(read_picture(path), picture)


def test_the_first_picture_of_an_animation_is_taken(file):
    first, second = Image.new("RGB", (4, 3), A), Image.new("RGB", (4, 3), C)

    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        content = encoded(first, kind, save_all=True, append_images=[second], **options)
        assert np.unique(read_picture(file(content)).reshape(-1, 3), axis=0).tolist() == [list(A)]


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1), (8, 8), (33, 31)])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_all_sizes_come_back_exactly(file, kind, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}

    path = file(encoded(Image.fromarray(picture), kind, **options))

    np.testing.assert_array_equal(read_picture(path), picture)


def test_the_content_says_what_it_is_not_the_name(png, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(png(1, rows((F,))))

    assert read_picture(path).tolist() == [[list(F)]]


def test_the_settings_of_pillow_stay_as_the_application_made_them(png, file, monkeypatch):
    # An application that allows itself less than we do is not in the way.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)

    assert read_picture(file(png(3, rows((A, B, C))))).shape == (1, 3, 3)
    assert Image.MAX_IMAGE_PIXELS == 1
