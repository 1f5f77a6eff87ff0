"""`edgeprep run`: a result for each picture, and what becomes of pictures that are bad."""

import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeprep.pictures import read_picture, write_picture

Run = Callable[..., Any]
Pictures = dict[str, Path]

MISSING = "must be a file that can be read, got 'No such file or directory'"
USAGE = "Usage: edgeprep run [OPTIONS] BUNDLE [SOURCES]...\nTry 'edgeprep run --help' for help.\n\n"

# (200 / 255 - 0.5) / 0.25 for one channel and -2 for the others, through softmax.
SCORE = 0.9201


def test_people_see_one_line_a_picture(edgeprep: Run, bundle: Path, pictures: Pictures) -> None:
    ended = edgeprep("run", bundle, *pictures.values())
    width = len(str(pictures["green"]))
    assert ended.code == 0
    assert ended.stdout.splitlines() == [
        f"{'picture':<{width}}  result",
        *(f"{path!s:<{width}}  {label} ({SCORE})" for label, path in pictures.items()),
    ]


def test_machines_get_one_result_a_picture(edgeprep: Run, bundle: Path, pictures: Pictures) -> None:
    ended = edgeprep("run", bundle, pictures["blue"], pictures["red"], "--format", "json")
    document = json.loads(ended.stdout)
    assert list(document) == ["schema_version", "choice", "results", "films", "failed"]
    assert document["schema_version"] == 1
    assert document["choice"]["verdict"] == "chosen"
    assert [result["picture"] for result in document["results"]] == [
        str(pictures["blue"]),
        str(pictures["red"]),
    ]
    first = document["results"][0]
    assert (first["label"], first["labels"][0]["index"]) == ("blue", 2)
    assert first["score"] == first["labels"][0]["score"] == pytest.approx(SCORE, abs=5e-5)
    assert len(first["labels"]) == 2
    assert document["failed"] == []


def test_a_bad_picture_is_named_and_the_others_are_run(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    words = ("run", bundle, pictures["red"], "absent.png", pictures["blue"])
    ended = edgeprep(*words)
    assert ended.code == 1
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["result", "red", "blue"]
    assert ended.stderr.splitlines()[-1] == f"edgeprep: absent.png: {MISSING}"
    document = json.loads(edgeprep(*words, "--format", "json").stdout)
    assert [result["label"] for result in document["results"]] == ["red", "blue"]
    assert document["failed"] == [
        {"picture": "absent.png", "error": f"absent.png: {MISSING}"},
    ]


def test_a_picture_without_a_finite_result_is_named_and_the_others_are_run(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path
) -> None:
    black = tmp_path / "black.png"
    write_picture(black, np.zeros((12, 10, 3), np.uint8))
    ended = edgeprep("run", bundle, black, pictures["blue"])
    assert ended.code == 1
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["result", "blue"]
    assert f"\nedgeprep: {black}: session 'brightest': " in ended.stderr
    assert "must be finite, got 3 NaN and 0 infinite of 3 numbers; " in ended.stderr


def test_where_every_picture_is_bad_people_see_no_empty_table(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("run", bundle, "absent.png")
    assert (ended.code, ended.stdout) == (1, "")
    assert (
        json.loads(edgeprep("run", bundle, "absent.png", "--format", "json").stdout)["results"]
        == []
    )


def png_of(width: int, height: int) -> bytes:
    """The header of a PNG file, and pixels that break off at once."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    pixels = struct.pack(">I4s", 1000, b"IDAT")
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + check + pixels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a JPEG, PNG, WEBP or BMP file, got one that starts with b''"),
        (b"hello", "must be a JPEG, PNG, WEBP or BMP file, got one that starts with b'hello'"),
        (png_of(10, 10), "must be a whole picture, got one that fails with "),
        (
            png_of(50_000, 50_000),
            "must have at most 50000000 pixels, got 2500000000 (50000 × 50000)",
        ),
    ],
    ids=["empty", "text", "cut short", "huge"],
)
def test_a_file_that_is_no_picture_is_refused(
    edgeprep: Run, bundle: Path, content: bytes, message: str
) -> None:
    Path("bad.png").write_bytes(content)
    ended = edgeprep("run", bundle, "bad.png")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith(f"edgeprep: bad.png: {message}")


def test_a_name_of_two_lines_takes_one(
    edgeprep: Run, bundle: Path, pictures: Pictures, tmp_path: Path
) -> None:
    good, bad = Path("two\nlines.png"), Path("red\x1b[31m\nedgeprep: all is well.png")
    good.write_bytes(pictures["red"].read_bytes())
    bad.write_bytes(b"hello")
    ended = edgeprep("run", bundle, good, bad)
    assert ended.stdout.splitlines()[1:] == [rf"two\nlines.png  red ({SCORE})"]
    assert ended.stderr.splitlines()[-1] == (
        r"edgeprep: red\x1b[31m\nedgeprep: all is well.png: must be a JPEG, PNG, WEBP or BMP file, "
        "got one that starts with b'hello'"
    )
    document = json.loads(edgeprep("run", bundle, good, "--format", "json").stdout)
    assert document["results"][0]["picture"] == "two\nlines.png"
    ended = edgeprep("inspect", "a\nb")
    assert ended.stderr.startswith(r"edgeprep: a\nb: must be a file that can be read")


def test_without_pillow_nothing_is_measured(
    edgeprep: Run, bundle: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeprep import pictures as room
    from edgeprep_fakes import FakeBackend

    monkeypatch.delattr(FakeBackend, "load")
    monkeypatch.delitem(sys.modules, "edgeprep.pictures._pillow", raising=False)
    monkeypatch.delattr(room, "_pillow", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    ended = edgeprep("run", bundle, pictures["red"])
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        "edgeprep: reading pictures needs Pillow, which is not installed; "
        "pip install edgeprep[picture]\n"
    )


def test_pictures_of_every_kind_are_taken_as_the_red_that_they_show(
    edgeprep: Run, bundle: Path
) -> None:
    red = Image.new("RGB", (12, 10), (200, 0, 0))
    alpha = red.convert("RGBA")
    alpha.putalpha(0)
    # Lying on its side, and upright by its EXIF orientation; the lower half is black.
    turned = Image.new("RGB", (20, 12))
    turned.paste((255, 0, 0), (0, 0, 10, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {
        "cmyk.jpg": (red.convert("CMYK"), {"quality": 95}),
        "palette.png": (red.convert("P"), {}),
        "alpha.png": (alpha, {}),
        "exif.png": (turned, {"exif": exif}),
    }
    for name, (image, options) in kinds.items():
        image.save(name, **options)
    document = json.loads(edgeprep("run", bundle, *kinds, "--format", "json").stdout)
    assert [result["label"] for result in document["results"]] == ["red"] * len(kinds)
    assert document["failed"] == []


def test_sixteen_bits_are_taken_by_their_upper_half(edgeprep: Run, bundle: Path) -> None:
    Image.fromarray(np.full((10, 12), 0xC8FF, np.uint16)).save("deep.png")
    # 200 in all channels: three equal scores, of which the first is named.
    ended = edgeprep("run", bundle, "deep.png")
    assert ended.stdout.splitlines()[1] == "deep.png  red (0.3333)"


def test_results_are_drawn_into_copies(edgeprep: Run, bundle: Path, pictures: Pictures) -> None:
    before = pictures["red"].read_bytes()
    ended = edgeprep("run", bundle, pictures["red"], pictures["green"], "-o", "new/drawn")
    assert ended.code == 0
    assert pictures["red"].read_bytes() == before
    drawn = read_picture("new/drawn/red.png")
    # Enlarged, with the picture on top and white letters on a dark strip below it.
    height = drawn.shape[0]
    assert tuple(drawn[5, 5]) == (200, 0, 0)
    assert drawn[height - 20 :].max() == 255
    assert Path("new/drawn/green.png").exists()


def test_a_link_to_itself_is_named_and_the_others_are_drawn(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    folder = pictures["red"].parent / "some"
    folder.mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "red.png").write_bytes(pictures["red"].read_bytes())
    ended = edgeprep("run", bundle, folder, "-o", "drawn")
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1] == (
        f"edgeprep: {folder / 'loop.png'}: must be a file that can be read, "
        "got 'Too many levels of symbolic links'"
    )
    assert [path.name for path in Path("drawn").iterdir()] == ["red.png"]


def test_drawn_pictures_are_replaced_only_if_asked(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    Path("red.png").write_bytes(b"precious")
    words = ("run", bundle, pictures["green"], pictures["red"], "-o", ".")
    ended = edgeprep(*words)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "edgeprep: red.png: already exists; pass --overwrite to replace it\n"
    assert Path("red.png").read_bytes() == b"precious"
    assert not Path("green.png").exists()
    assert edgeprep(*words, "--overwrite").code == 0
    assert read_picture("red.png").shape[2] == 3


def test_pictures_that_would_replace_each_other_are_refused_before_any_work(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    Path("a").mkdir()
    twin = Path("a/red.jpg")
    Image.new("RGB", (4, 4)).save(twin)
    ended = edgeprep("run", bundle, pictures["red"], twin, "-o", "drawn", "--overwrite")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"{USAGE}Error: -o: pictures must have different names, got {str(pictures['red'])!r} and "
        "'a/red.jpg', which would both become 'drawn/red.png'; write them to two directories\n"
    )
    assert not Path("drawn").exists()


def test_pictures_of_a_folder_that_differ_by_their_extensions_are_both_drawn(
    edgeprep: Run, bundle: Path
) -> None:
    for name in ("x.jpg", "x.png", "y.png"):
        Path("photos").mkdir(exist_ok=True)
        Image.new("RGB", (4, 4), (200, 0, 0)).save(f"photos/{name}")
    assert edgeprep("run", bundle, "photos", "-o", "drawn").code == 0
    drawn = {path.name for path in Path("drawn").iterdir()}
    assert drawn == {"x.jpg.png", "x.png.png", "y.png"}


def test_a_picture_is_never_replaced_by_its_own_copy(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    directory = pictures["red"].parent
    before = pictures["red"].read_bytes()
    ended = edgeprep("run", bundle, pictures["red"], "-o", directory, "--overwrite")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"{USAGE}Error: -o: must be another directory than that of the pictures, "
        f"got {str(directory)!r}; {str(pictures['red'])!r} would be replaced\n"
    )
    assert pictures["red"].read_bytes() == before


def test_an_output_that_is_no_directory_is_an_error_of_each_picture(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    Path("file").write_text("in the way")
    ended = edgeprep("run", bundle, pictures["red"], "-o", "file")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == (
        "edgeprep: file: must be a directory to write to, got 'File exists'"
    )


def test_a_bad_bundle_leaves_no_directory_behind(
    edgeprep: Run, pictures: Pictures, left_behind: Callable[[], list[str]]
) -> None:
    assert edgeprep("run", "absent", pictures["red"], "-o", "drawn").code == 1
    assert left_behind() == []


def test_without_measuring_the_first_right_candidate_answers(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    ended = edgeprep("run", bundle, pictures["red"], "--no-probe", "--format", "json")
    choice = json.loads(ended.stdout)["choice"]
    assert (choice["options"], choice["median_ms"]) == ({"threads": 1}, None)


def test_a_preference_that_nothing_meets_lists_what_there_is(
    edgeprep: Run, bundle: Path, pictures: Pictures
) -> None:
    ended = edgeprep("run", bundle, pictures["red"], "--prefer", "npu")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"edgeprep: {bundle}: at least one candidate must run on this machine, got none\n"
        "  fake-fp32 fakes cpu threads=1: excluded, prefer='npu'\n"
        "  fake-fp32 fakes cpu threads=2: excluded, prefer='npu'\n"
    )


UNKNOWN = (
    "edgeprep: prefer: must be a variant, format, precision, backend, device or kind of device, "
    "got {got}; known here are 'fake-fp32', 'fake', 'fp32', 'fakes', 'cpu', 'gpu', 'npu', 'dsp'\n"
)


@pytest.mark.parametrize(
    ("word", "got"),
    [
        ("bogus", "'bogus'"),
        ("fake-fp23", "'fake-fp23'; did you mean 'fake-fp32'?"),
        ("fp16", "'fp16'"),
        ("", "''"),
    ],
)
@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_a_preference_that_is_no_word_of_the_bundle_is_wrong_usage(
    edgeprep: Run,
    bundle: Path,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    word: str,
    got: str,
) -> None:
    from edgeprep_fakes import FakeBackend

    # Nothing is loaded to find that out.
    monkeypatch.delattr(FakeBackend, "load")
    rest = [pictures["red"]] if command == "run" else []
    ended = edgeprep(command, bundle, *rest, "--prefer", word)
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", UNKNOWN.format(got=got))


def test_where_the_plugin_is_not_allowed_the_error_says_so(
    edgeprep: Run, bundle: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_PLUGINS", "other")
    ended = edgeprep("run", bundle, pictures["red"])
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"edgeprep: {bundle}: at least one candidate must run on this machine, got none\n"
        "  fake-fp32: unavailable, no backend for format 'fake'; "
        "plugin 'fakes' is disabled: not on the list of allowed plugins\n"
    )
