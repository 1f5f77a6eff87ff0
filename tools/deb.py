"""Packages of Debian, .deb files, unpacked into a directory: no root, and nothing outside of it."""

import io
import posixpath
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from environment import Failed

__all__ = ["lay_out", "unpack"]

# Since Debian 12 these are links to their namesakes in /usr, which no package brings along.
MERGED = ("bin", "sbin", "lib", "lib64")


def lay_out(tree: Path) -> None:
    """The directories that packages take for granted."""
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (tree / name).exists():
            (tree / name).symlink_to(f"usr/{name}")


def unpack(package: bytes, tree: Path, *, only: tuple[str, ...] = ()) -> None:
    """Unpack the files of a package, the content of a .deb file, into a directory.

    Raises:
        Failed: it is no package, or one of its files would lie outside of `tree`.
    """
    for name, content in members(package):
        if name.startswith("data.tar"):
            try:
                with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                    for entry in archive:
                        path = merged(posixpath.normpath(entry.name))
                        if path != "." and (not only or path.startswith(only)):
                            place(archive, entry, path, tree)
            except tarfile.TarError as error:
                raise Failed(f"{name}: cannot be read: {error}") from error
            return
    raise Failed("package: must have a data.tar in it, got none")


def members(package: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a .deb.

    Source: deb(5), ar(5): headers of 60 bytes, contents at even places.
    """
    if not package.startswith(b"!<arch>\n"):
        raise Failed(f"package: must begin with '!<arch>', got {package[:8]!r}")
    place = 8
    while place + 60 <= len(package):
        header = package[place : place + 60]
        size = int(header[48:58])
        yield header[:16].decode().rstrip(" /"), package[place + 60 : place + 60 + size]
        place += 60 + size + size % 2


def place(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str, tree: Path) -> None:
    """Put one file of a package where it belongs below `tree`."""
    target = inside(path, tree)
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.isdir():
        target.mkdir(exist_ok=True)
        return
    target.unlink(missing_ok=True)
    if entry.issym():
        link = entry.linkname
        if link.startswith("/"):
            link = posixpath.relpath(link, f"/{posixpath.dirname(path)}")
        inside(posixpath.join(posixpath.dirname(path), link), tree)
        target.symlink_to(link)
    elif entry.islnk():
        target.hardlink_to(inside(merged(posixpath.normpath(entry.linkname)), tree))
    elif entry.isfile():
        content = archive.extractfile(entry)
        if content is None:
            raise Failed(f"{path}: has no content")
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(entry.mode & 0o777 | 0o600)
    else:
        raise Failed(f"{path}: must be a file, a directory or a link")


def merged(path: str) -> str:
    """A path of a package, in /usr where the directory that it names is a link to there."""
    return f"usr/{path}" if path.partition("/")[0] in MERGED else path


def inside(path: str, tree: Path) -> Path:
    """A path of a package as one below `tree`."""
    normal = posixpath.normpath(path)
    if normal.startswith(("/", "../")) or normal == "..":
        raise Failed(f"{path}: must lie inside of the package")
    return tree / normal
