"""The bytes of a bundle: how they lie in the file, and the reader that checks each of them.

    0   8   magic, b"EDGEPREP"
    8   4   version of this layout, 1
    12  4   zero
    16  8   length of the manifest, in bytes
    24  32  sha256 of the manifest
    56      the manifest, JSON, then zeros up to a multiple of 64
    …       the members in the manifest's order, each from a multiple of 64, zeros between;
            nothing after the last

Numbers are little-endian and unsigned. The digests find damage and mixed-up files; they do not say
who made a bundle.
"""

import hashlib
import os
import struct
from typing import BinaryIO

from msgspec import Struct

from edgeprep.bundle.ensemble import EnsembleManifest
from edgeprep.bundle.ensemble_rules import check_ensemble
from edgeprep.bundle.manifest import Manifest, Member, decode_manifest, kind_of
from edgeprep.bundle.opened import Bundle, EnsembleBundle
from edgeprep.bundle.rules import aligned, check_manifest
from edgeprep.errors import (
    BundleError,
    BundleFormatError,
    BundleTruncated,
    DigestError,
    IncompatibleBundle,
    StorageError,
)
from edgeprep.files import open_regular

__all__ = [
    "HEADER",
    "MAGIC",
    "MAX_MANIFEST_BYTES",
    "VERSION",
    "one_network",
    "open_bundle",
    "open_either",
    "read_bundle",
    "read_either",
    "read_variant",
]

MAGIC = b"EDGEPREP"
VERSION = 1
HEADER = struct.Struct("<8sIIQ32s")
# Labels of 20 000 classes take half a megabyte. The limit keeps a crafted manifest, which grows
# more than twentyfold when it is decoded, from filling a small device's memory.
MAX_MANIFEST_BYTES = 2 * 1024 * 1024


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read and verify a bundle of one network, as `open_either` does.

    Raises:
        StorageError: the file cannot be read.
        BundleError: it is no such bundle, as `open_either` says; or that of an ensemble.
    """
    return one_network(open_either(path))


def open_either(path: str | os.PathLike[str]) -> Bundle | EnsembleBundle:
    """Read and verify a bundle; the bytes that were verified are the bytes it holds.

    The file is opened once and read once, so that a file swapped or overwritten afterwards
    changes nothing.

    Raises:
        StorageError: the file cannot be read.
        BundleTruncated: it ends too early.
        BundleFormatError: it breaks a rule of the layout or of the manifest.
        DigestError: its bytes are not those that were packed.
        IncompatibleBundle: a later edgeprep wrote it.
    """
    path = os.fspath(path)
    with open_regular(path) as stream:
        try:
            return read_either(stream, path)
        except OSError as error:
            raise StorageError(
                f"{path}: must be a file that can be read, got {error.strerror!r}"
            ) from error


def read_bundle(stream: BinaryIO, path: str) -> Bundle:
    """The verified bundle of one network in `stream`; see `read_either`.

    Raises:
        BundleError: as `open_bundle` says.
    """
    return one_network(read_either(stream, path))


def one_network(bundle: Bundle | EnsembleBundle) -> Bundle:
    """`bundle` itself, unless it is that of an ensemble.

    Raises:
        BundleError: it is.
    """
    if isinstance(bundle, EnsembleBundle):
        got = f"the ensemble {bundle.manifest.name!r}"
        raise BundleError(f"{bundle.path}: must be a bundle of one network, got {got}")
    return bundle


def read_either(stream: BinaryIO, path: str) -> Bundle | EnsembleBundle:
    """The verified bundle in `stream`, which is read from its start; `path` is for messages.

    Raises:
        BundleError: as `open_either` says.
    """
    front = _read_front(stream, path)
    contents = {}
    for member in front.manifest.members:
        _read_padding(stream, front.start + member.offset - stream.tell(), path)
        contents[member.name] = _read_member(stream, member, path)
    common = {"path": path, "digest": front.digest, "size_bytes": front.size_bytes}
    if isinstance(front.manifest, EnsembleManifest):
        return EnsembleBundle(manifest=front.manifest, contents=contents, **common)  # type: ignore[arg-type]
    return Bundle(manifest=front.manifest, contents=contents, **common)  # type: ignore[arg-type]


def read_variant(
    stream: BinaryIO, path: str, variant: str, *, digest: str, part: tuple[str, str] | None = None
) -> Bundle:
    """A bundle of one network that was verified before, read again: as far as `variant` needs it.

    Args:
        stream: of a file.
        path: its, for messages.
        variant: the one whose model and golden samples are read, and verified, and nothing else.
        digest: of what is in the file.
        part: of an ensemble, the member that is the network's bundle, and its digest.

    Raises:
        DigestError: it has changed since.
        BundleError: as `open_either` says.
    """
    front = _read_front(stream, path, digest=digest)
    if part is not None:
        name, digest = part
        member = next(each for each in front.manifest.members if each.name == name)
        begin = front.start + member.offset
        front = _read_front(stream, path, digest=digest, begin=begin, size_bytes=member.size_bytes)
    manifest = front.manifest
    assert isinstance(manifest, Manifest)  # noqa: S101 -- its digest says so
    wanted = manifest.members_of(variant)
    contents = {}
    for member in manifest.members:
        if member.name in wanted:
            stream.seek(front.start + member.offset)
            contents[member.name] = _read_member(stream, member, path)
    return Bundle(
        manifest=manifest,
        contents=contents,
        path=path,
        digest=front.digest,
        size_bytes=front.size_bytes,
    )


class _Front(Struct, frozen=True, kw_only=True):
    """All that comes before the members, and where in the file those begin."""

    manifest: Manifest | EnsembleManifest
    digest: str
    start: int
    size_bytes: int


def _read_front(
    stream: BinaryIO,
    where: str,
    *,
    digest: str | None = None,
    begin: int = 0,
    size_bytes: int | None = None,
) -> _Front:
    """What is before the first member of the bundle that begins at `begin`; the rest is next.

    Args:
        stream: of a file.
        where: it is, for messages.
        digest: what it must have; None: any.
        begin: where in the file.
        size_bytes: how long it is; None: to the end.
    """
    if size_bytes is None:
        size_bytes = stream.seek(0, os.SEEK_END)
    stream.seek(begin)
    manifest_size, manifest_digest = _read_header(stream, size_bytes, where)
    found = manifest_digest.hex()
    if digest not in (None, found):
        rule = f"must be the bundle that was opened, {digest:.16}…"
        raise DigestError(f"{where}: {rule}, got {found:.16}…")
    encoded = _read_exactly(stream, manifest_size, where)
    _check_digest(encoded, manifest_digest, f"{where}: manifest")
    manifest = _read_manifest(encoded, where)
    start = aligned(HEADER.size + manifest_size)
    last = manifest.members[-1]
    _check_length(size_bytes, start + last.offset + last.size_bytes, where)
    _read_padding(stream, start - HEADER.size - manifest_size, where)
    return _Front(manifest=manifest, digest=found, start=begin + start, size_bytes=size_bytes)


def _read_member(stream: BinaryIO, member: Member, where: str) -> bytes:
    content = _read_exactly(stream, member.size_bytes, where)
    _check_digest(content, bytes.fromhex(member.sha256), f"{where}: member {member.name!r}")
    return content


def _read_manifest(encoded: bytes, where: str) -> Manifest | EnsembleManifest:
    if kind_of(encoded, where) == "ensemble":
        ensemble = decode_manifest(encoded, where, EnsembleManifest)
        check_ensemble(ensemble, where)
        return ensemble
    manifest = decode_manifest(encoded, where, Manifest)
    check_manifest(manifest, where)
    return manifest


def _read_header(stream: BinaryIO, file_size: int, where: str) -> tuple[int, bytes]:
    start = stream.read(HEADER.size)
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise BundleFormatError(
            f"{where}: must be an edgeprep bundle, got a file that starts with {start[:8]!r}"
        )
    if len(start) < HEADER.size:
        raise BundleTruncated(
            f"{where}: must be at least {HEADER.size} bytes long, got {len(start)}"
        )
    _, version, reserved, manifest_size, digest = HEADER.unpack(start)
    if version > VERSION:
        raise IncompatibleBundle(
            f"{where}: must have layout version {VERSION}, got {version}; "
            "upgrade edgeprep to read it"
        )
    if version != VERSION or reserved != 0:
        raise BundleFormatError(
            f"{where}: must have layout version {VERSION} and 0 after it, "
            f"got {version} and {reserved}"
        )
    if manifest_size > MAX_MANIFEST_BYTES:
        raise BundleFormatError(
            f"{where}: manifest must be at most {MAX_MANIFEST_BYTES} bytes long, "
            f"got {manifest_size}"
        )
    if HEADER.size + manifest_size > file_size:
        _check_length(file_size, HEADER.size + manifest_size, where)
    return manifest_size, digest


def _check_length(got: int, expected: int, where: str) -> None:
    if got < expected:
        raise BundleTruncated(
            f"{where}: must be {expected} bytes long, got {got}; it was cut short, copy it again"
        )
    if got > expected:
        raise BundleFormatError(f"{where}: must be {expected} bytes long, got {got}")


def _read_exactly(stream: BinaryIO, size: int, where: str) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise BundleTruncated(f"{where}: must not change while it is read, got a shorter file")
    return content


def _read_padding(stream: BinaryIO, size: int, where: str) -> None:
    if any(_read_exactly(stream, size, where)):
        raise BundleFormatError(f"{where}: must have zeros between members, got other bytes")


def _check_digest(content: bytes, expected: bytes, where: str) -> None:
    digest = hashlib.sha256(content).digest()
    if digest != expected:
        raise DigestError(
            f"{where} must have sha256 {expected.hex()}, got {digest.hex()}; "
            "it was damaged, copy it again"
        )
