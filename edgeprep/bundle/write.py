"""Packing: a manifest and its members become one file, whole or not at all."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from msgspec.structs import replace

from edgeprep.bundle.container import (
    HEADER,
    MAGIC,
    MAX_MANIFEST_BYTES,
    VERSION,
    one_network,
    read_either,
)
from edgeprep.bundle.ensemble import EnsembleManifest
from edgeprep.bundle.ensemble_rules import check_ensemble
from edgeprep.bundle.manifest import Manifest, Member, encode_manifest
from edgeprep.bundle.opened import Bundle, EnsembleBundle
from edgeprep.bundle.rules import aligned, check_manifest
from edgeprep.errors import BundleFormatError
from edgeprep.files import atomic_write

__all__ = ["pack", "write_bundle", "write_ensemble"]


def write_bundle(
    path: str | os.PathLike[str],
    manifest: Manifest,
    members: Mapping[str, bytes],
    *,
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle, read it back, and give what was read.

    Args:
        path: where the file shall appear; it does so whole, or not at all.
        manifest: all that is to be said; its own `members` are left out of account.
        members: content by name. The order does not matter: equal content makes equal files.
        overwrite: whether a file that is there already may be replaced.

    Raises:
        BundleFormatError: the manifest breaks a rule, or does not fit the members.
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written.
    """
    return one_network(_write(os.fspath(path), manifest, members, overwrite=overwrite))


def write_ensemble(
    path: str | os.PathLike[str],
    manifest: EnsembleManifest,
    members: Mapping[str, bytes],
    *,
    overwrite: bool = False,
) -> EnsembleBundle:
    """Write the bundle of an ensemble, as `write_bundle` does.

    Raises:
        BundleFormatError: the manifest breaks a rule, or does not fit the members.
        OutputExists: `path` is there already, and `overwrite` is False.
        StorageError: the file cannot be written.
    """
    written = _write(os.fspath(path), manifest, members, overwrite=overwrite)
    assert isinstance(written, EnsembleBundle)  # noqa: S101 -- as its manifest says
    return written


def _write(
    path: str,
    manifest: Manifest | EnsembleManifest,
    members: Mapping[str, bytes],
    *,
    overwrite: bool,
) -> Bundle | EnsembleBundle:
    chunks = list(pack(manifest, members, path))
    written: list[Bundle | EnsembleBundle] = []

    def verify(stream: BinaryIO) -> None:
        written.append(read_either(stream, path))

    size_bytes = sum(map(len, chunks))
    atomic_write(path, chunks, overwrite=overwrite, size_bytes=size_bytes, check=verify)
    return written[0]


def pack(
    manifest: Manifest | EnsembleManifest, members: Mapping[str, bytes], where: str
) -> Iterator[bytes]:
    """The bytes of a bundle, piece by piece; `where` is for messages.

    Raises:
        BundleFormatError: the manifest breaks a rule, or does not fit the members.
    """
    manifest = replace(manifest, members=tuple(_lay_out(members)))
    encoded = encode_manifest(manifest, where)
    if isinstance(manifest, EnsembleManifest):
        check_ensemble(manifest, where)
    else:
        check_manifest(manifest, where)
    if len(encoded) > MAX_MANIFEST_BYTES:
        raise BundleFormatError(
            f"{where}: manifest must be at most {MAX_MANIFEST_BYTES} bytes long, got {len(encoded)}"
        )
    head = HEADER.pack(MAGIC, VERSION, 0, len(encoded), hashlib.sha256(encoded).digest()) + encoded
    yield head
    yield _zeros_after(len(head))
    end = 0
    for member in manifest.members:
        yield _zeros_after(end)
        yield members[member.name]
        end = member.offset + member.size_bytes


def _lay_out(members: Mapping[str, bytes]) -> Iterator[Member]:
    offset = 0
    for name in sorted(members):
        content = members[name]
        digest = hashlib.sha256(content).hexdigest()
        yield Member(name=name, offset=offset, size_bytes=len(content), sha256=digest)
        offset = aligned(offset + len(content))


def _zeros_after(end: int) -> bytes:
    return bytes(aligned(end) - end)
