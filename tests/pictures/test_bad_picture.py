"""Pictures that cannot be read: refused in time, within memory, and never by half."""

import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

import edgeprep.pictures
from edgeprep.errors import (
    BackendUnavailable,
    ImageDecodeError,
    ImageTooLarge,
    InputError,
    StorageError,
)
from edgeprep.pictures import read_picture


def whole(message):
    return f"^{re.escape(message)}$"


def encoded(kind, mode="RGB", **options):
    pixels = np.random.default_rng(3).integers(0, 256, (13, 11, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def run_length_bmp():
    """Four rows of eight pixels, in all kinds of runs that 8-bit BMP has."""
    rows = b"\x08\x01\0\0" + b"\0\x04\1\0\1\0\x04\1\0\0" + b"\0\2\2\0\6\1\0\0" + b"\x08\x01\0\1"
    palette = bytes([0, 0, 0, 0, 255, 255, 0, 0])
    offset = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 8, 1, len(rows), 0, 0, 2, 0)
    return struct.pack("<2sIII", b"BM", offset + len(rows), 0, offset) + header + palette + rows


WHOLE = {
    "jpeg": encoded("JPEG"),
    "progressive jpeg": encoded("JPEG", progressive=True),
    "grey jpeg": encoded("JPEG", "L"),
    "png": encoded("PNG"),
    "palette png": encoded("PNG", "P"),
    "webp": encoded("WEBP"),
    "lossless webp": encoded("WEBP", lossless=True),
    "bmp": encoded("BMP"),
    "palette bmp": encoded("BMP", "P"),
    "run-length bmp": run_length_bmp(),
}


@pytest.mark.parametrize("patient", [False, True], ids=["", "with LOAD_TRUNCATED_IMAGES"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_cut_short_at_any_byte_is_refused(file, monkeypatch, name, patient):
    # Applications set this so that Pillow fills up with grey what is not there.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", patient)
    path = file(WHOLE[name])
    picture = read_picture(path)
    length = len(WHOLE[name])
    accepted = []
    for missing in range(1, length + 1, 4 if patient else 1):
        os.truncate(path, length - missing)
        try:
            got = read_picture(path)
        except ImageDecodeError:
            continue
        # The last bytes of some formats are an end mark or padding: all pixels are there.
        assert np.array_equal(got, picture), missing
        accepted.append(missing)

    assert max(accepted, default=0) <= 4


def test_a_png_that_ends_before_its_orientation_is_refused(png, file, exif):
    content = png(2, [bytes(6)] * 3, after=[(b"eXIf", exif(6))])
    assert read_picture(file(content)).shape == (2, 3, 3)

    for size in range(content.index(b"IDAT"), len(content)):
        with pytest.raises(ImageDecodeError, match=r"the file ends too early|truncated|broken"):
            read_picture(file(content[:size]))


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_a_damaged_picture_is_a_picture_or_an_input_error(file, name, data):
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    try:
        picture = read_picture(file(content), max_pixels=1_000_000)
    except InputError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"GIF89a" + bytes(50),
        b"II*\0" + bytes(50),
        b"%!PS-Adobe-3.0 EPSF",
        b"8BPS" + bytes(50),
        b"SIMPLE  =",
        b"P6 1 1 255 abc",
        b"<svg/>",
        b"RIFF\0\0\0\0WAVE",
    ],
    ids=["empty", "byte", "gif", "tiff", "eps", "psd", "fits", "ppm", "svg", "wav"],
)
def test_other_formats_are_refused_by_their_content(file, content):
    path = file(content)

    rule = (
        f"{path}: must be a JPEG, PNG, WEBP or BMP file, got one that starts with {content[:12]!r}"
    )
    with pytest.raises(ImageDecodeError, match=whole(rule)):
        read_picture(path)


@pytest.mark.parametrize(
    "start", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM"]
)
@pytest.mark.parametrize("tail", [b"", bytes(100), b"\xff" * 100], ids=["end", "zeros", "ones"])
def test_a_start_without_a_picture_is_refused(file, start, tail):
    with pytest.raises(InputError, match=r"^/.*/picture: must (be a whole picture|have at most)"):
        read_picture(file(start + tail))


def huge_jpeg(width, height):
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", 2 + len(frame))
        + frame
        + b"\xff\xda\0\x02"
        + bytes(64)
    )


def huge_webp(width, height):
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + canvas


def huge_lossless_webp(width, height):
    bits = (width - 1) | (height - 1) << 14
    return b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + struct.pack("<I", bits) + bytes(8)


def huge_lossy_webp(width, height):
    frame = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0" + frame + bytes(8)


def huge_bmp(width, height):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return struct.pack("<2sIII", b"BM", 54, 0, 54) + header


@pytest.mark.parametrize(
    ("make", "width", "height"),
    [
        (huge_jpeg, 65500, 65500),
        (huge_webp, 60000, 60000),
        (huge_lossless_webp, 16384, 16384),
        (huge_lossy_webp, 16383, 16383),
        (huge_bmp, 100_000, 100_000),
    ],
)
def test_a_huge_picture_is_refused_from_its_header(file, make, width, height):
    path = file(make(width, height))

    rule = f"{path}: must have at most 50000000 pixels, got {width * height} ({width} × {height})"
    with pytest.raises(ImageTooLarge, match=whole(rule)):
        read_picture(path)


def test_a_decompression_bomb_costs_no_memory(png, tmp_path, costs):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30_000, [bytes(3750)] * 30_000, depth=1, color=0))
    assert path.stat().st_size < 200_000
    (cost,) = costs(path)
    rule = "must have at most 50000000 pixels, got 900000000 (30000 × 30000)"
    assert cost.what == f"ImageTooLarge: {path}: {rule}"
    assert cost.grown_mb < 4


def test_the_limit_is_the_callers(png, file):
    path = file(png(4, [bytes(12)] * 3))

    assert read_picture(path, max_pixels=12).shape == (3, 4, 3)
    rule = f"{path}: must have at most 11 pixels, got 12 (4 × 3)"
    with pytest.raises(ImageTooLarge, match=whole(rule)):
        read_picture(path, max_pixels=11)


def test_a_file_too_long_for_any_picture_is_refused(file):
    path = file(WHOLE["webp"])
    os.truncate(path, 2**40)

    rule = f"{path}: must be at most 416777216 bytes long, got {2**40}"
    with pytest.raises(ImageTooLarge, match=whole(rule)):
        read_picture(path)


@pytest.mark.parametrize("kind", ["a directory", "a pipe", "a device"])
def test_what_is_not_a_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x.png"
    if kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")

    with pytest.raises(StorageError, match=whole(f"{path}: must be a regular file, got {kind}")):
        read_picture(path)


def test_a_file_that_fails_while_it_is_read_is_refused():
    rule = r"^/proc/self/mem: must be a whole picture, got one that fails with "
    with pytest.raises(ImageDecodeError, match=rule):
        read_picture("/proc/self/mem")


def test_running_out_of_memory_is_not_the_pictures_fault(png, file, monkeypatch):
    def exhausted(self):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)
    with pytest.raises(MemoryError, match=r"^$"):
        read_picture(file(png(1, [bytes(3)])))


@pytest.mark.parametrize("name", ["missing.png", "https://example.org/x.png", "data:image/png,x"])
def test_what_is_not_there_is_told(name):
    path = Path(name)

    rule = f"{path}: must be a file that can be read, got 'No such file or directory'"
    with pytest.raises(StorageError, match=whole(rule)):
        read_picture(name)


def test_without_pillow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "edgeprep.pictures._pillow", raising=False)
    monkeypatch.delattr(edgeprep.pictures, "_pillow", raising=False)

    rule = "reading pictures needs Pillow, which is not installed; pip install edgeprep[picture]"
    with pytest.raises(BackendUnavailable, match=whole(rule)):
        read_picture("x.png")


def test_importing_the_package_leaves_pillow_alone():
    script = "import sys, edgeprep.pictures; assert 'PIL' not in sys.modules"

    subprocess.run([sys.executable, "-c", script], check=True)
