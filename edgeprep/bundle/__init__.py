"""The bundle: one file that holds a model in every variant, and says what it is.

`write_bundle` packs, `open_bundle` verifies every byte and gives a `Bundle` in memory. That of an
ensemble holds other bundles, whole: `write_ensemble`, and `open_either` for either kind.
"""

from edgeprep.bundle.container import one_network, open_bundle, open_either, read_bundle
from edgeprep.bundle.ensemble import EnsembleManifest, Learnt, Part
from edgeprep.bundle.manifest import (
    Golden,
    Manifest,
    Measured,
    Member,
    Parity,
    SourceRecord,
    Variant,
)
from edgeprep.bundle.opened import Bundle, Contents, EnsembleBundle, GoldenSamples
from edgeprep.bundle.reference import Reference, Spread
from edgeprep.bundle.write import write_bundle, write_ensemble

__all__ = [
    "Bundle",
    "Contents",
    "EnsembleBundle",
    "EnsembleManifest",
    "Golden",
    "GoldenSamples",
    "Learnt",
    "Manifest",
    "Measured",
    "Member",
    "Parity",
    "Part",
    "Reference",
    "SourceRecord",
    "Spread",
    "Variant",
    "one_network",
    "open_bundle",
    "open_either",
    "read_bundle",
    "write_bundle",
    "write_ensemble",
]
