"""Bundles that say what their pictures were like, and older ones, which do not."""

import re

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from edgeprep.bundle import Reference, Spread
from edgeprep.bundle.manifest import encode_manifest
from edgeprep.bundle.write import pack
from edgeprep.errors import BundleFormatError

SPREAD = Spread(low=0.1, middle=0.4, high=0.8, mean=0.41, deviation=0.2)
REFERENCE = Reference(
    placement="graph", pictures=64, features={"brightness": SPREAD}, classes=(3, 0, 61)
)


def test_a_reference_comes_out_as_it_went_in(read, manifest, members):
    written = replace(manifest, references=(REFERENCE,))
    found = read(b"".join(pack(written, members, "x.edgeprep"))).manifest
    assert found.references == (REFERENCE,)
    assert found.reference("graph") == REFERENCE
    assert found.reference("host") is None


def test_a_bundle_without_one_is_written_and_read_as_it_always_was(read, manifest, content):
    assert b'"references"' not in encode_manifest(manifest, "x")
    assert read(content).manifest.references is UNSET
    assert read(content).manifest.reference("graph") is None


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ((), "x.edgeprep: references: must be absent or some, got 0"),
        ((REFERENCE, REFERENCE), "x.edgeprep: references: must have unique names, got 'graph'"),
        (
            (replace(REFERENCE, pictures=0),),
            "x.edgeprep: references[0].pictures: must be above 0, got 0",
        ),
        (
            (replace(REFERENCE, classes=(1, -1)),),
            "x.edgeprep: references[0].classes: must be counts, got (1, -1)",
        ),
        (
            (replace(REFERENCE, classes=(0,) * (2**16 + 1)),),
            "x.edgeprep: references[0].classes: must be 65536 at most, got 65537",
        ),
        (
            (replace(REFERENCE, features={"contrast": replace(SPREAD, low=0.5)}),),
            (
                "x.edgeprep: references[0].features.contrast: must rise from low to high, and "
                "deviate by 0 or more, got Spread(low=0.5, middle=0.4, high=0.8, mean=0.41, "
                "deviation=0.2)"
            ),
        ),
        (
            (replace(REFERENCE, features={"contrast": replace(SPREAD, mean=float("nan"))}),),
            (
                "x.edgeprep: manifest.references[0].features.contrast.mean must hold finite "
                "numbers, got nan"
            ),
        ),
    ],
    ids=["none", "twice", "no picture", "negative", "too many", "falling", "not finite"],
)
def test_a_reference_that_says_nothing_is_refused(read, manifest, members, references, message):
    written = replace(manifest, references=references)
    with pytest.raises(BundleFormatError, match=f"^{re.escape(message)}$"):
        read(b"".join(pack(written, members, "x.edgeprep")))
