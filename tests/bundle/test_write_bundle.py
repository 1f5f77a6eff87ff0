"""Packing: equal content makes equal bytes, and what does not hold together is not written."""

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import open_bundle, write_bundle
from edgeprep.bundle.container import MAX_MANIFEST_BYTES
from edgeprep.errors import BundleFormatError, OutputExists, StorageError

UNSUPPORTED = (
    "manifest must hold plain values, got Encoding objects of type numpy.float32 is unsupported"
)


def whole(message):
    return f"^{re.escape(message)}$"


def test_what_was_written_is_what_is_read(tmp_path, manifest, members):
    path = tmp_path / "digits.edgeprep"

    written = write_bundle(path, manifest, members)
    opened = open_bundle(path)

    assert replace(opened.manifest, members=()) == manifest
    assert opened.contents == members
    assert opened.path == str(path)
    assert opened.size_bytes == path.stat().st_size
    assert (written.manifest, written.digest) == (opened.manifest, opened.digest)


def test_the_file_lies_as_the_layout_says(path, manifest, members):
    content = path.read_bytes()
    size = int.from_bytes(content[16:24], "little")
    start = 56 + size + -(56 + size) % 64

    assert content[:16] == b"EDGEPREP\1\0\0\0\0\0\0\0"
    assert content[24:56] == hashlib.sha256(content[56 : 56 + size]).digest()
    assert content[56 : 56 + size].startswith(b'{"schema_version":1,"name":"digits","created_with"')
    for member in open_bundle(path).manifest.members:
        begin = start + member.offset
        assert begin % 64 == 0
        assert content[begin : begin + member.size_bytes] == members[member.name]
        assert member.sha256 == hashlib.sha256(members[member.name]).hexdigest()
    assert content.endswith(b"<net/>")


def test_equal_content_makes_equal_bytes(tmp_path, manifest, members, content):
    shuffled = dict(reversed(members.items()))
    versions = dict(reversed(manifest.created_with.items()))
    task = dict(reversed(manifest.task.items()))
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.edgeprep"

    write_bundle(other, replace(manifest, created_with=versions, task=task), shuffled)

    assert other.read_bytes() == content


def test_the_digest_names_the_content(tmp_path, manifest, members, path):
    changed = members | {"golden/onnx-fp32/0": bytes(24)}

    other = write_bundle(tmp_path / "other.edgeprep", manifest, changed)

    assert other.digest != open_bundle(path).digest
    assert other.digest == hashlib.sha256(_manifest_of(Path(other.path))).hexdigest()


def _manifest_of(path):
    content = path.read_bytes()
    return content[56:][: int.from_bytes(content[16:24], "little")]


def test_whole_numbers_are_written_as_floats_where_floats_are_meant(tmp_path, manifest, members):
    source = replace(manifest.source, value=1)

    bundle = write_bundle(tmp_path / "x.edgeprep", replace(manifest, source=source), members)

    assert isinstance(bundle.manifest.source.value, float)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"task": {"use": "classify", "threshold": float("nan")}},
            "manifest.task.threshold must hold finite numbers, got nan",
        ),
        (
            {"chain": ({"use": "pad@1", "value": [0.0, float("inf")]},)},
            "manifest.chain[0].value[1] must hold finite numbers, got inf",
        ),
        (
            {"task": {"use": "classify", "threshold": np.float32(1)}},
            UNSUPPORTED,
        ),
        (
            {"name": 7},
            "manifest must hold plain values, got Expected `str`, got `int` - at `$.name`",
        ),
        ({"variants": ()}, "variants: must be at least one, got 0"),
    ],
    ids=["nan", "infinity", "numpy", "type", "no variant"],
)
def test_a_manifest_that_breaks_a_rule_is_not_written(tmp_path, manifest, members, fields, message):
    path = tmp_path / "x.edgeprep"

    with pytest.raises(BundleFormatError, match=whole(f"{path}: {message}")):
        write_bundle(path, replace(manifest, **fields), members)

    assert list(tmp_path.iterdir()) == []


def test_a_member_that_is_missing_is_named(tmp_path, manifest, members):
    del (members := dict(members))["golden/onnx-fp32/0"]
    path = tmp_path / "x.edgeprep"

    rule = f"{path}: variants[0].golden_outputs: must name members, got 'golden/onnx-fp32/0'"
    with pytest.raises(BundleFormatError, match=whole(rule)):
        write_bundle(path, manifest, members)


def test_a_manifest_that_no_reader_would_take_is_not_written(tmp_path, manifest, members):
    task = {"use": "classify", "labels": ["label"] * (MAX_MANIFEST_BYTES // 8)}
    path = tmp_path / "x.edgeprep"

    rule = rf": manifest must be at most {MAX_MANIFEST_BYTES} bytes long, got \d+$"
    with pytest.raises(BundleFormatError, match=rule):
        write_bundle(path, replace(manifest, task=task), members)


def test_a_bundle_that_is_there_stays_unless_told(path, manifest, members, content):
    rule = f"{path}: already exists; pass --overwrite (overwrite=True) to replace it"
    with pytest.raises(OutputExists, match=whole(rule)):
        write_bundle(path, replace(manifest, name="other"), members)
    assert path.read_bytes() == content

    write_bundle(path, replace(manifest, name="other"), members, overwrite=True)
    assert open_bundle(path).manifest.name == "other"


def test_a_file_that_reads_back_differently_does_not_appear(
    tmp_path, manifest, members, monkeypatch
):
    # A disk that loses what it was told to keep.
    def lose(descriptor):
        os.pwrite(descriptor, b"\0", 60)

    monkeypatch.setattr(os, "fsync", lose)
    path = tmp_path / "x.edgeprep"

    rule = rf"^{re.escape(str(path))}: manifest must have sha256 .*; it was damaged, copy it again$"
    with pytest.raises(ValueError, match=rule):
        write_bundle(path, manifest, members)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_replaced_again_and_again_is_always_whole(path, manifest, members):
    def names():
        return {open_bundle(path).manifest.name for _ in range(200)}

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(names)
        while not reader.done():
            for name in ("one", "two"):
                write_bundle(path, replace(manifest, name=name), members, overwrite=True)

        assert reader.result() <= {"digits", "one", "two"}


def test_an_opened_bundle_does_not_change_with_its_file(path, members):
    bundle = open_bundle(path)

    path.write_bytes(bytes(path.stat().st_size))
    os.truncate(path, 0)

    assert bundle.contents == members


def test_a_bundle_that_is_not_there_is_told_apart(tmp_path):
    path = tmp_path / "x.edgeprep"

    rule = f"{path}: must be a file that can be read, got 'No such file or directory'"
    with pytest.raises(StorageError, match=whole(rule)):
        open_bundle(path)


def test_a_file_that_fails_while_it_is_read_is_a_storage_error():
    # It has no end that could be asked for, as a disk may have none any more.
    path = "/proc/self/mem"

    rule = f"{path}: must be a file that can be read, got 'Invalid argument'"
    with pytest.raises(StorageError, match=whole(rule)):
        open_bundle(path)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_opening_leaves_no_file_open(path):
    open_bundle(path)  # so that what is loaded on first use is loaded
    before = open_files()

    for _ in range(20):
        open_bundle(path)
    path.write_bytes(b"EDGEPREP")
    for _ in range(20):
        with pytest.raises(ValueError, match="must be at least 56 bytes long"):
            open_bundle(path)

    assert open_files() == before
