"""A bundle in memory: verified bytes, and what they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.bundle.ensemble import EnsembleManifest
from edgeprep.bundle.manifest import Golden, Manifest, Variant
from edgeprep.errors import BundleError
from edgeprep.interfaces import Model
from edgeprep.tensors import TensorSpec

__all__ = ["Bundle", "Contents", "EnsembleBundle", "GoldenSamples"]


class GoldenSamples(Struct, frozen=True, kw_only=True, eq=False):
    """What a variant must reproduce: read-only arrays, the samples one after another.

    Attributes:
        input: what the graph takes, `(samples, H, W, C)`, uint8; of clips all frames of one and
            then those of the next.
        states: what it takes after that, `(samples, …)` each.
        outputs: what the variant gave when it was made, one array an output.
        source_outputs: what the source model gave.
        count: how many samples there are.
    """

    input: NDArray[Any]
    outputs: tuple[NDArray[Any], ...]
    source_outputs: tuple[NDArray[Any], ...]
    states: tuple[NDArray[Any], ...] = ()
    count: int

    def feed(self, index: int) -> tuple[NDArray[Any], ...]:
        """All inputs of one sample."""
        return tuple(self._part(array, index) for array in (self.input, *self.states))

    def expected(self, index: int) -> tuple[NDArray[Any], ...]:
        """What the variant gave for it."""
        return tuple(self._part(array, index) for array in self.outputs)

    def _part(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        rows = len(array) // self.count
        return array[index * rows : (index + 1) * rows]


class Contents(Struct, frozen=True, kw_only=True, eq=False):
    """What is in a file of either kind. Nothing in it refers to the file any more.

    Attributes:
        path: where it was read from.
        digest: sha256 of the manifest, in hexadecimal digits. As the manifest holds the digest of
            every member, this names the whole content.
        size_bytes: length of the file.
        contents: verified bytes by member name.
    """

    path: str
    digest: str
    size_bytes: int
    contents: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(path={self.path!r}, digest={self.digest!r})"

    def member(self, name: str) -> bytes:
        """The verified bytes of one member.

        Raises:
            BundleError: there is no such member.
        """
        try:
            return self.contents[name]
        except KeyError:
            raise BundleError(
                f"{self.path}: must have the member asked for, got {name!r}"
            ) from None

    def array(self, spec: TensorSpec, member: str) -> NDArray[Any]:
        """The array in `member`, read-only, of the shape and type that `spec` says."""
        stored = np.frombuffer(self.member(member), dtype=np.dtype(spec.dtype).newbyteorder("<"))
        return stored.reshape(spec.shape)


class EnsembleBundle(Contents, frozen=True, kw_only=True, eq=False):
    """An opened bundle of several networks.

    Attributes:
        manifest: what it says of itself.
    """

    manifest: EnsembleManifest

    @property
    def learnt(self) -> Mapping[str, NDArray[Any]]:
        """What its combiner has learnt, by name."""
        return {
            each.array.name: self.array(each.array, each.member) for each in self.manifest.learnt
        }


class Bundle(Contents, frozen=True, kw_only=True, eq=False):
    """An opened bundle of one network.

    Attributes:
        manifest: what it says of itself.
    """

    manifest: Manifest

    def variant(self, name: str) -> Variant:
        """The variant called `name`.

        Raises:
            BundleError: there is no such variant.
        """
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        known = ", ".join(repr(variant.name) for variant in self.manifest.variants)
        raise BundleError(f"{self.path}: variant must be one of {known}, got {name!r}")

    def model(self, variant: Variant) -> Model:
        """The model of `variant`, as its backend takes it: bytes by file name."""
        files = {name.rpartition("/")[2]: self.member(name) for name in variant.files}
        return Model(format=variant.format, files=files)

    def golden(self, variant: Variant) -> GoldenSamples:
        """The golden samples that `variant` must reproduce."""
        record = self._golden_record(variant.placement)
        return GoldenSamples(
            input=self.array(record.input, record.input_member),
            states=tuple(map(self.array, record.states, record.state_members)),
            count=record.input.shape[0] // variant.input.shape[0],
            outputs=self._arrays(record, variant.golden_outputs),
            source_outputs=self._arrays(record, record.output_members),
        )

    def _golden_record(self, placement: str) -> Golden:
        return next(entry for entry in self.manifest.golden if entry.placement == placement)

    def _arrays(self, record: Golden, members: tuple[str, ...]) -> tuple[NDArray[Any], ...]:
        pairs = zip(record.outputs, members, strict=True)
        return tuple(self.array(spec, member) for spec, member in pairs)
