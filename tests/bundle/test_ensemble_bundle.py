"""The bundle of an ensemble: what it holds, and crafted ones with a rule broken."""

import hashlib
import re
from io import BytesIO

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import (
    EnsembleBundle,
    EnsembleManifest,
    Learnt,
    Part,
    SourceRecord,
    open_bundle,
    open_either,
    read_bundle,
    write_bundle,
    write_ensemble,
)
from edgeprep.bundle.container import HEADER, MAGIC, VERSION, read_either
from edgeprep.bundle.write import pack
from edgeprep.errors import BundleError, BundleFormatError, DigestError, OutputExists
from edgeprep.tensors import ImageSpec, TensorSpec

WEIGHTS = np.arange(6, dtype="<f4").reshape(2, 3)


@pytest.fixture(scope="module")
def contents(content):
    """The members of an ensemble of one small bundle, twice, and an array."""
    return {"parts/0.edgeprep": content, "combine/weights.bin": WEIGHTS.tobytes()}


@pytest.fixture(scope="module")
def whole():
    spec = TensorSpec(name="weights", shape=(2, 3), dtype="float32")
    return EnsembleManifest(
        name="together",
        created_with={"edgeprep": "0.1.0"},
        recipe_sha256="ab" * 32,
        task={"use": "classify", "labels": ["a", "b", "ç"]},
        input=ImageSpec(height=4, width=4),
        combine={"use": "stack", "penalty": 2.0},
        parts=(
            Part(name="digits", bundle="parts/0.edgeprep", weight=2.0, prefer="int8"),
            Part(name="digits", bundle="parts/0.edgeprep", weight=1.0),
        ),
        learnt=(Learnt(array=spec, member="combine/weights.bin"),),
        score=SourceRecord(metric="accuracy", value=0.99, samples=100),
    )


@pytest.fixture
def path(tmp_path, whole, contents):
    write_ensemble(tmp_path / "together.edgeprep", whole, contents)
    return tmp_path / "together.edgeprep"


def test_what_was_written_is_what_is_read(path, whole, contents):
    opened = open_either(path)
    assert isinstance(opened, EnsembleBundle)
    assert replace(opened.manifest, members=()) == whole
    assert opened.contents == contents
    np.testing.assert_array_equal(opened.learnt["weights"], WEIGHTS)
    assert repr(opened) == f"EnsembleBundle(path={str(path)!r}, digest={opened.digest!r})"


def test_a_part_is_a_whole_bundle(path, whole):
    opened = open_either(path)
    part = read_bundle(BytesIO(opened.member(whole.parts[0].bundle)), "part")
    assert part.manifest.name == "digits"


def test_equal_content_makes_equal_files(path, whole, contents, tmp_path):
    write_ensemble(tmp_path / "again.edgeprep", whole, dict(reversed(contents.items())))
    assert (tmp_path / "again.edgeprep").read_bytes() == path.read_bytes()


def test_nothing_is_replaced_unless_asked_for(path, whole, contents):
    with pytest.raises(OutputExists, match=r"already exists; pass --overwrite"):
        write_ensemble(path, whole, contents)
    write_ensemble(path, whole, contents, overwrite=True)


def test_who_needs_one_network_is_told_that_it_is_an_ensemble(path):
    message = f"{path}: must be a bundle of one network, got the ensemble 'together'"
    with pytest.raises(BundleError, match=f"^{re.escape(message)}$"):
        open_bundle(path)
    with path.open("rb") as stream, pytest.raises(BundleError, match=f"^{re.escape(message)}$"):
        read_bundle(stream, str(path))


def test_a_bundle_of_one_network_is_read_as_before(tmp_path, manifest, members):
    written = write_bundle(tmp_path / "digits.edgeprep", manifest, members)
    assert open_either(tmp_path / "digits.edgeprep").digest == written.digest


def test_a_damaged_part_is_found(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DigestError, match=r"member 'parts/0.edgeprep' must have sha256 .*"):
        open_either(path)


def forged(whole, contents, change):
    """The ensemble with its manifest's JSON changed, and the digest of it made to fit."""
    content = b"".join(pack(whole, contents, "x.edgeprep"))
    size = HEADER.unpack(content[: HEADER.size])[3]
    table = msgspec.json.decode(content[HEADER.size :][:size])
    change(table)
    encoded = msgspec.json.encode(table)
    digest = hashlib.sha256(encoded).digest()
    head = HEADER.pack(MAGIC, VERSION, 0, len(encoded), digest) + encoded
    return head + bytes(-len(head) % 64) + content[-(-(HEADER.size + size) // 64) * 64 :]


def at(*path, value):
    def change(table):
        *way, last = path
        for key in way:
            table = table[key]
        table[last] = value

    return change


ONE_PART = [{"name": "digits", "bundle": "parts/0.edgeprep", "weight": 1.0, "prefer": ""}]
CANONICAL = (
    "manifest must be in canonical JSON, got repeated, unknown, missing or reordered keys, "
    "spaces, or numbers written another way"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            at("kind", value="choir"),
            "manifest must fit its schema, got Object missing required field `chain`",
            id="kind",
        ),
        pytest.param(at("extra", value=1), CANONICAL, id="unknown key"),
        pytest.param(
            at("parts", value=ONE_PART), "parts: must be 2 to 16, got 1", id="a single part"
        ),
        pytest.param(
            at("parts", value=ONE_PART * 17), "parts: must be 2 to 16, got 17", id="17 parts"
        ),
        pytest.param(
            at("parts", 1, "weight", value=0.0),
            "parts[1].weight: must be above 0, got 0.0",
            id="no weight",
        ),
        pytest.param(
            at("parts", 1, "bundle", value="parts/1.edgeprep"),
            "parts[1].bundle: must name a member, got 'parts/1.edgeprep'",
            id="no such member",
        ),
        pytest.param(
            at("combine", value={}), "combine.use: must be a name, got None", id="no combiner"
        ),
        pytest.param(at("task", "use", value=3), "task.use: must be a name, got 3", id="no task"),
        pytest.param(
            at("learnt", value=[]),
            "members[0]: must be a part or what was learnt, got 'combine/weights.bin'",
            id="a member that nobody names",
        ),
        pytest.param(
            at("learnt", 0, "array", "shape", value=[2, 4]),
            "learnt[0]: 'combine/weights.bin' must be 32 bytes long, as float32 (2, 4) is, got 24",
            id="another shape",
        ),
        pytest.param(
            at("learnt", 0, "array", "shape", value=[0]),
            "learnt[0]: shape of 'weights': must be 1 to 16 extents, each at least 1 and below "
            "2**31, got (0,)",
            id="no shape",
        ),
        pytest.param(
            at("input", "height", value=0),
            "input.height: must be 1 to 16384 pixels, got 0",
            id="no picture",
        ),
        pytest.param(
            at("members", 0, "name", value="../x"),
            "members[0].name: must be a plain lower-case relative path of at most 100 characters, "
            "got '../x'",
            id="a name that leads out",
        ),
    ],
)
def test_a_crafted_ensemble_is_refused(whole, contents, change, message):
    stream = BytesIO(forged(whole, contents, change))
    with pytest.raises(BundleFormatError, match=f"^x.edgeprep: {re.escape(message)}$"):
        read_either(stream, "x.edgeprep")


def test_an_array_twice_is_refused(whole, contents):
    def twice(table):
        table["learnt"] *= 2

    with pytest.raises(BundleFormatError, match=r"^x.edgeprep: learnt: must have unique names"):
        read_either(BytesIO(forged(whole, contents, twice)), "x.edgeprep")


def test_numbers_that_are_none_are_refused(whole, contents, tmp_path):
    parts = (replace(whole.parts[0], weight=float("inf")), whole.parts[1])
    with pytest.raises(BundleFormatError, match=r"manifest.parts\[0\].weight must hold finite"):
        write_ensemble(tmp_path / "x.edgeprep", replace(whole, parts=parts), contents)
