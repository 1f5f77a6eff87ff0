"""The bundle: one file that holds a model in every variant, and says what it is.

`write_bundle` packs, `open_bundle` verifies every byte and gives a `Bundle` in memory.
"""

from edgeprep.bundle.container import open_bundle, read_bundle
from edgeprep.bundle.manifest import (
    Golden,
    Manifest,
    Measured,
    Member,
    Parity,
    SourceRecord,
    Variant,
)
from edgeprep.bundle.opened import Bundle, GoldenSamples
from edgeprep.bundle.write import write_bundle

__all__ = [
    "Bundle",
    "Golden",
    "GoldenSamples",
    "Manifest",
    "Measured",
    "Member",
    "Parity",
    "SourceRecord",
    "Variant",
    "open_bundle",
    "read_bundle",
    "write_bundle",
]
