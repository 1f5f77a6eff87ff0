"""Crafted bundles: digests that fit, and a rule broken."""

import hashlib
import re
import tracemalloc

import pytest

from edgeprep.bundle.container import HEADER, MAGIC, MAX_MANIFEST_BYTES
from edgeprep.errors import BundleError, BundleFormatError, BundleTruncated, IncompatibleBundle
from edgeprep.tensors import ImageSpec

CANONICAL = (
    "x.edgeprep: manifest must be in canonical JSON, got repeated, unknown, missing or "
    "reordered keys, spaces, or numbers written another way"
)


def header(*, magic=MAGIC, version=1, reserved=0, size=0, digest=bytes(32)):
    return HEADER.pack(magic, version, reserved, size, digest)


def sealed(encoded):
    return header(size=len(encoded), digest=hashlib.sha256(encoded).digest()) + encoded


def whole(message):
    return f"^{re.escape(message)}$"


def replaced(old, new):
    def change(encoded):
        assert old in encoded
        return encoded.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        pytest.param(
            b"", BundleTruncated, "x.edgeprep: must be at least 56 bytes long, got 0", id="empty"
        ),
        pytest.param(
            b"PK\x03\x04 and so on",
            BundleFormatError,
            r"x.edgeprep: must be an edgeprep bundle, got a file that starts with "
            r"b'PK\x03\x04 and'",
            id="zip",
        ),
        pytest.param(
            header(version=2),
            IncompatibleBundle,
            "x.edgeprep: must have layout version 1, got 2; upgrade edgeprep to read it",
            id="newer layout",
        ),
        pytest.param(
            header(version=0),
            BundleFormatError,
            "x.edgeprep: must have layout version 1 and 0 after it, got 0 and 0",
            id="version 0",
        ),
        pytest.param(
            header(reserved=7),
            BundleFormatError,
            "x.edgeprep: must have layout version 1 and 0 after it, got 1 and 7",
            id="reserved",
        ),
        pytest.param(
            header(size=2**64 - 1),
            BundleFormatError,
            f"x.edgeprep: manifest must be at most {MAX_MANIFEST_BYTES} bytes long, "
            f"got {2**64 - 1}",
            id="huge manifest",
        ),
        pytest.param(
            header(size=1000),
            BundleTruncated,
            "x.edgeprep: must be 1056 bytes long, got 56; it was cut short, copy it again",
            id="no manifest",
        ),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(read, content, kind, message):
    with pytest.raises(kind, match=whole(message)):
        read(content)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(replaced('"name":"digits"', '"name":"digits","name":"digits"'), id="repeated"),
        pytest.param(replaced('"use":"classify"', '"use":"x","use":"classify"'), id="repeated-use"),
        pytest.param(replaced('"name":"digits"', '"name":"digits","extra":1'), id="unknown"),
        pytest.param(replaced(',"requires":[]', ""), id="left out"),
        pytest.param(replaced('"placement":"graph",', ' "placement":"graph",'), id="space"),
        pytest.param(replaced('"drop":0.0', '"drop":0'), id="whole number for a float"),
        pytest.param(replaced('"drop":0.0', '"drop":0.00'), id="digits"),
        pytest.param(replaced('"drop":0.0', '"drop":-0'), id="minus zero"),
        pytest.param(replaced("digits", "\\u0064igits"), id="escape"),
        pytest.param(
            replaced('"labels":["a","b","ç"],"use":"classify"', '"use":"classify","labels":[]'),
            id="order of a table",
        ),
        pytest.param(
            replaced('"value":0.98,"samples":100', '"samples":100,"value":0.98'), id="order"
        ),
        pytest.param(lambda encoded: encoded + "\n", id="newline"),
    ],
)
def test_only_canonical_json_is_read(read, forge, change):
    with pytest.raises(BundleFormatError, match=whole(CANONICAL)):
        read(forge(change))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replaced('"drop":0.0', '"drop":NaN'), "JSON is malformed"),
        (replaced('"drop":0.0', '"drop":1e999'), "Number out of range"),
        (replaced('"drop":0.0', '"drop":null'), "Expected `float`, got `null`"),
        (replaced('"samples":8', '"samples":8.0'), "Expected `int`, got `float`"),
        (replaced('"samples":8', '"samples":"8"'), "Expected `int`, got `str`"),
        (replaced('"samples":8', f'"samples":{"9" * 1_000_000}'), "Integer value out of range"),
        (replaced('"name":"digits"', '"name":"\\ud800"'), "JSON is malformed"),
        (replaced('"precision":"fp32"', '"precision":"fp31"'), "Invalid enum value 'fp31'"),
        (replaced('"schema_version":1,', ""), "missing required field `schema_version`"),
        (replaced('"labels":["a"', '"labels":' + "[" * 1_000_000), "recursion"),
        (replaced('"labels":["a"', '"labels":' + '{"a":' * 300_000), "recursion"),
        (lambda encoded: "", "Input data was truncated"),
        (lambda encoded: "null", "Expected `object`, got `null`"),
        (lambda encoded: encoded + encoded, "JSON is malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_manifest_that_does_not_fit_its_schema_is_refused(read, forge, change, reason):
    rule = rf"^x\.edgeprep: manifest must fit its schema, got .*{re.escape(reason)}"
    with pytest.raises(BundleFormatError, match=rule):
        read(forge(change))


def test_a_manifest_that_is_not_utf8_is_refused(read):
    with pytest.raises(BundleFormatError, match=r"^x\.edgeprep: manifest must fit its schema"):
        read(sealed(b'{"schema_version":1,"name":"\xff"}'))


def test_a_newer_schema_is_told_apart_from_a_broken_one(read):
    rule = "x.edgeprep: manifest must have schema version 1, got 2; upgrade edgeprep to read it"
    with pytest.raises(IncompatibleBundle, match=whole(rule)):
        read(sealed(b'{"schema_version":2,"all":"else","may":{"be":"new"}}'))


def test_schema_version_zero_is_refused(read, forge):
    rule = "x.edgeprep: manifest must have schema version 1, got 0"
    with pytest.raises(BundleFormatError, match=whole(rule)):
        read(forge(replaced('"schema_version":1', '"schema_version":0')))


def member(index, **fields):
    return lambda tables: tables["members"][index].update(fields)


def variant(**fields):
    return lambda tables: tables["variants"][0].update(fields)


def camera(**fields):
    return lambda tables: tables["input"].update(fields)


def golden(**fields):
    return lambda tables: tables["golden"][0].update(fields)


def image(*shape):
    return {"name": "image", "shape": list(shape), "dtype": "uint8"}


def logits(*shape):
    return [{"name": "logits", "shape": list(shape), "dtype": "float32"}]


def fits(part, golden, got):
    return f"variants[0].{part}: must make golden arrays of {golden!r}, got {got!r}"


def long(where, size, spec):
    return f"{where}: 'golden/graph/input' must be {size} bytes long, as {spec} is, got 96"


NAME_RULE = "must be a plain lower-case relative path of at most 100 characters"
SHAPE_RULE = "must be 1 to 16 extents, each at least 1 and below 2**31"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "/x",
        "C:\\x",
        "a/../../b",
        "a/./b",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        "a\u202eb",
        "ä",
        "a b",
        "A",
        "a\n",
        ".a",
        "-a",
        "a" * 101,
    ],
)
def test_names_that_are_not_plain_paths_are_refused(read, forge_tables, name):
    with pytest.raises(BundleFormatError, match=rf"members\[0\]\.name: {NAME_RULE}, got "):
        read(forge_tables(member(0, name=name)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            member(1, name="golden/graph/input"),
            "members: must have unique names, got 'golden/graph/input'",
        ),
        (member(1, offset=64), "members[1].offset: must be 128, got 64"),
        (member(1, offset=192), "members[1].offset: must be 128, got 192"),
        (member(0, offset=-64), "members[0].offset: must be 0, got -64"),
        (
            member(0, size_bytes=-1),
            "members[0].size_bytes: must be at least 0 and below 2**63, got -1",
        ),
        (
            member(0, size_bytes=2**63),
            f"members[0].size_bytes: must be at least 0 and below 2**63, got {2**63}",
        ),
        (member(0, size_bytes=2**63 - 1), f"members[1].offset: must be {2**63}, got 128"),
        (
            member(0, sha256="AB" * 32),
            f"members[0].sha256: must be 64 lower-case hexadecimal digits, got '{'AB' * 32}'",
        ),
        (
            lambda tables: tables.update(members=[]),
            "golden[0]: must name members, got 'golden/graph/input'",
        ),
        (
            lambda tables: tables.update(members=tables["members"][:1] * 4097),
            "members: must be at most 4096, got 4097",
        ),
        (
            lambda tables: tables.update(task={"labels": ["a", "b"]}),
            "task.use: must be the name of a task, got None",
        ),
        (lambda tables: tables.update(variants=[]), "variants: must be at least one, got 0"),
        (
            lambda tables: tables["variants"][1].update(name="onnx-fp32"),
            "variants: must have unique names, got 'onnx-fp32'",
        ),
        (
            lambda tables: tables.update(golden=tables["golden"] * 2),
            "golden: must have unique names, got 'graph'",
        ),
        (camera(height=0), "input.height: must be 1 to 16384 pixels, got 0"),
        (camera(height=-5), "input.height: must be 1 to 16384 pixels, got -5"),
        (camera(width=16385), "input.width: must be 1 to 16384 pixels, got 16385"),
        (
            camera(height=16384, width=4097),
            "input: must have at most 67108864 pixels, got [16384, 4097]",
        ),
        (
            camera(height=5, color="nv12"),
            "input: must be even, both ways, for 'nv12', got [5, 4]",
        ),
        (
            camera(color="hsv"),
            (
                "input.color: must be one of ('rgb', 'bgr', 'grey', 'rgba', 'bgra', 'nv12', "
                "'i420'), got 'hsv'"
            ),
        ),
        *(
            (
                camera(**field),
                (
                    "input: must be uint8 in 0..255, channels last, as cameras "
                    f"give pictures, got {ImageSpec(height=4, width=4, **field)!r}"
                ),
            )
            for field in (
                {"dtype": "float32"},
                {"range": "0..1"},
                {"layout": "nchw"},
                {"light": "linear"},
            )
        ),
        (camera(batch=2), "variants[0].input: must be of 2, as many frames as input has, got 1"),
        (
            lambda tables: tables.update(chain=tables["chain"] * 257),
            "chain: must be at most 256, got 257",
        ),
        (variant(name="a/b"), "variants[0].name: must have no '/', got 'a/b'"),
        (variant(name=".."), f"variants[0].name: {NAME_RULE}, got '..'"),
        (variant(files=[]), "variants[0].files: must be at least one, got 0"),
        (
            variant(files=["variants/onnx-fp32/model.onnx"] * 2),
            "variants[0].files: must have unique names, got 'variants/onnx-fp32/model.onnx'",
        ),
        (
            variant(files=["golden/graph/input"]),
            "variants[0].files: must lie in 'variants/onnx-fp32/', got 'golden/graph/input'",
        ),
        (
            variant(files=["variants/onnx-fp32/other"]),
            "variants[0].files: must name members, got 'variants/onnx-fp32/other'",
        ),
        (
            variant(size_bytes=201),
            "variants[0].size_bytes: must be 200, the total of its files, got 201",
        ),
        (variant(tolerance=-1.0), "variants[0].tolerance: must be at least 0, got -1.0"),
        (
            variant(placement="host"),
            "variants[0].placement: must have golden samples, which are for ['graph'], got 'host'",
        ),
        (variant(golden_outputs=[]), "variants[0].golden_outputs: must be 1, got 0"),
        (
            variant(golden_outputs=["nowhere"]),
            "variants[0].golden_outputs: must name members, got 'nowhere'",
        ),
        (
            variant(golden_outputs=["golden/graph/input"]),
            long("variants[0].golden_outputs", 24, "float32 (2, 3)"),
        ),
        (variant(outputs=[]), "variants[0].outputs: must be 1, got 0"),
        (
            variant(outputs=logits(1, 4)),
            fits("outputs", "logits: float32 (2, 3)", "logits: float32 (2, 4)"),
        ),
        (
            variant(input=image(1, 4, 5, 3)),
            fits("input", "image: uint8 (2, 4, 4, 3)", "image: uint8 (2, 4, 5, 3)"),
        ),
        (
            variant(input=image(3, 4, 4, 3)),
            fits("input", "image: uint8 (2, 4, 4, 3)", "image: uint8 (0, 4, 4, 3)"),
        ),
        (
            variant(outputs=logits(-1, -3)),
            f"variants[0]: shape of 'logits': {SHAPE_RULE}, got (-1, -3)",
        ),
        (
            golden(input=image(2, 4, 0, 3)),
            f"golden[0]: shape of 'image': {SHAPE_RULE}, got (2, 4, 0, 3)",
        ),
        (
            golden(outputs=logits(3, 2)),
            fits("outputs", "logits: float32 (3, 2)", "logits: float32 (2, 3)"),
        ),
        (golden(input=image()), f"golden[0]: shape of 'image': {SHAPE_RULE}, got ()"),
        (golden(output_members=[]), "golden[0].output_members: must be 1, got 0"),
        (
            golden(input=image(2, 4, 4, 4)),
            long("golden[0]", 128, "uint8 (2, 4, 4, 4)"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_that_do_not_fit_together_are_refused(read, forge_tables, change, message):
    with pytest.raises(BundleFormatError, match=whole(f"x.edgeprep: {message}")):
        read(forge_tables(change))


def test_a_member_beyond_the_end_is_refused_before_it_is_read(read, forge_tables, content):
    last = 6  # "variants/openvino-int8/model.xml", and nothing after it
    crafted = forge_tables(
        lambda tables: (
            tables["members"][last].update(size_bytes=2**40),
            tables["variants"][1].update(size_bytes=2**40),
        )
    )

    with pytest.raises(
        BundleTruncated, match=rf"must be \d{{13}} bytes long, got {len(crafted)}; "
    ):
        read(crafted)


@pytest.mark.parametrize(
    "filling",
    ["[" * 1_900_000, "[]," * 600_000, "{}," * 600_000, '"",' * 600_000, "9" * 1_900_000],
    ids=["deep", "lists", "tables", "strings", "digits"],
)
def test_a_crafted_manifest_costs_little_memory(read, forge, filling):
    enlarge = replaced('"labels":["a",', f'"labels":[{filling}"a",')
    # The space makes the manifest wrong when all the work of decoding it is done.
    crafted = forge(lambda encoded: enlarge(encoded) + " ")
    tracemalloc.start()

    with pytest.raises(BundleError, match=r"^x\.edgeprep: manifest must "):
        read(crafted)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20
