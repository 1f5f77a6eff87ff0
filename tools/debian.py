#!/usr/bin/env python3
"""Programs and libraries of Debian in a directory of this checkout: no root, nothing installed.

    tools/debian.py DIRECTORY PACKAGE...     unpack packages, and what they depend on, there
        --suite bookworm-backports           from this suite first
        --architecture arm64                 of this architecture, not of this machine's

What tools need of Debian is declared as a `Tree`, and lies under `.env` as the environments do:

    from debian import Tree

    VULKAN = Tree(
        name="vulkan",
        packages=("mesa-vulkan-drivers", "libvulkan1"),
        suite="bookworm-backports",
        leave_out=("libc6", "libgcc-s1"),    # this machine's own are used
    )
    VULKAN.make()                            # does nothing when it is there and up to date
    VULKAN.path / "usr/share/vulkan/icd.d"

apt resolves the dependencies, checks the signatures and fetches, in a directory of its own, so that
it needs no root and neither reads nor changes what is installed. Each package's SHA256 is checked
once more before it is unpacked. Scripts of packages do not run: there is no ld.so.cache, and no
alternative is set. Absolute links are made relative, so that they stay inside.

The mirror is the one of this machine's own apt sources, or EDGEPREP_DEBIAN_MIRROR, an address such
as apt takes it, up to the directory that has `dists` in it.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import deb
from environment import ROOT, Failed, alone, run

__all__ = ["MIRROR_VARIABLE", "Tree", "find_mirror", "host_architecture"]

MIRROR_VARIABLE = "EDGEPREP_DEBIAN_MIRROR"
APT = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TRIES = 4
# https://wiki.debian.org/Multiarch/Tuples
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Addresses of mirrors and proxies may have passwords in them.
SECRETS = ("apt.conf", "sources.list")
URI = re.compile(
    r"^'(?P<uri>\S+)' (?P<file>\S+) \d+ SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE
)


def host_architecture() -> str:
    """What Debian calls this machine's architecture.

    Raises:
        Failed: it is none that these tools know.
    """
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        raise Failed(f"architecture: no Debian name is known for {platform.machine()!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Packages of Debian, unpacked into one directory under `.env`.

    Attributes:
        name: the directory's name.
        packages: what to unpack, with all that it depends on; recommendations are left out.
        suite: a release, such as `bookworm`, or one that is laid over it, such as
            `bookworm-backports`; packages come from it as far as it has them.
        architecture: Debian's name of it; this machine's if empty.
        leave_out: packages that others depend on and that are not unpacked.
        only: beginnings of paths in packages, without a leading slash: others are not unpacked.
    """

    name: str
    packages: tuple[str, ...]
    suite: str = "bookworm"
    architecture: str = ""
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / ".env" / self.name

    def make(self) -> bool:
        """Make it, unless it is there and up to date.

        Returns:
            Whether it was made.

        Raises:
            Failed: there is no apt or no mirror, or a package cannot be had or is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with alone(self.path.with_suffix(".lock")):
            stamp = self.path / "stamp"
            fresh = not stamp.is_file() or stamp.read_text() != self._digest()
            if fresh:
                half = self.path.with_suffix(".half")
                for old in (half, self.path):
                    shutil.rmtree(old, ignore_errors=True)
                fill(
                    half / "tree",
                    state=half / "apt",
                    packages=self.packages,
                    suite=self.suite,
                    architecture=self.architecture or host_architecture(),
                    leave_out=self.leave_out,
                    only=self.only,
                )
                (half / "tree" / "stamp").write_text(self._digest())
                (half / "tree").rename(self.path)
                shutil.rmtree(half)
        return fresh

    def _digest(self) -> str:
        """What it is made from, as one number."""
        makers = [Path(file).read_text(encoding="utf-8") for file in (__file__, deb.__file__)]
        content = [repr(self), host_architecture(), *makers]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def fill(
    tree: Path,
    *,
    state: Path,
    packages: tuple[str, ...],
    suite: str,
    architecture: str,
    leave_out: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
) -> None:
    """Fetch packages and what they depend on, and unpack them into `tree`.

    Raises:
        Failed: there is no apt or no mirror, or a package cannot be had or is damaged.
    """
    deb.lay_out(tree)
    for file, sha256 in fetch(state.resolve(), packages, suite, architecture):
        if file.name.partition("_")[0] in leave_out:
            continue
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Failed(f"{file.name}: has not the SHA256 that the index says, {sha256}")
        deb.unpack(content, tree, only=only)


def fetch(
    state: Path, packages: tuple[str, ...], suite: str, architecture: str
) -> Iterator[tuple[Path, str]]:
    """Files of packages and of what they depend on, each with its SHA256 by the signed index."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise Failed("apt-get: not found; packages of Debian are fetched by it")

    def ask(*arguments: str) -> str:
        return patiently(
            apt, *arguments, APT_CONFIG=str(configuration), TMPDIR=str(state), LC_ALL="C"
        )

    try:
        configuration = configure(state, suite, architecture)
        ask("update", "--error-on=any")
        install = ("install", "--yes", "--target-release", suite)
        listed = ask(*install, "--print-uris", *packages)
        ask(*install, "--download-only", *packages)
    finally:
        for name in SECRETS:
            (state / name).unlink(missing_ok=True)
    found = list(URI.finditer(listed))
    if not found:
        raise Failed(f"packages: apt must name what to fetch, got {listed!r}")
    for match in found:
        yield state / "archives" / match["file"], match["sha256"]


def patiently(*command: str, **variables: str) -> str:
    """What a command prints, tried again after a while: mirrors change while they are read."""
    for attempt in range(TRIES):
        try:
            return run(*command, **variables)
        except Failed:
            if attempt == TRIES - 1:
                raise
            time.sleep(3 * 2**attempt)
    raise AssertionError("never reached")


def configure(state: Path, suite: str, architecture: str) -> Path:
    """A configuration by which apt keeps everything in `state`, as if nothing were installed."""
    for directory in ("lists/partial", "archives/partial", "none"):
        (state / directory).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.is_file() else ""
    # Backports and the like are laid over the release whose name they begin with.
    suites = dict.fromkeys((suite.partition("-")[0], suite))
    mirror = find_mirror()
    sources = state / "sources.list"
    write_private(sources, "".join(f"deb {signed}{mirror} {name} main\n" for name in suites))
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": state / "none",
        # Hooks of the machine's own configuration would run on its own directories.
        "Dir::Etc::Parts": state / "none",
        "Dir::Etc::Main": state / "none" / "apt.conf",
        "Dir::Etc::Preferences": state / "none" / "preferences",
        "Dir::Etc::PreferencesParts": state / "none",
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::Status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::Archives": state / "archives",
        "Acquire::ForceHash": "SHA256",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        # As root, apt would fetch as a user who may not write here.
        "APT::Sandbox::User": "root",
    }
    file = state / "apt.conf"
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    write_private(file, "".join([*own_connection(), *lines]))
    return file


def write_private(file: Path, text: str) -> None:
    """Write a file that is nobody else's to read, from its first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")


def own_connection() -> Iterator[str]:
    """How this machine's apt reaches mirrors: proxies, certificates, time limits."""
    program = shutil.which("apt-config")
    lines = run(program, "dump").splitlines() if program else []
    return (f"{line}\n" for line in lines if line.startswith(("Acquire::http", "Acquire::Check")))


def find_mirror() -> str:
    """The address of a mirror of Debian, by the variable or by this machine's apt sources.

    Raises:
        Failed: neither names one.
    """
    if mirror := os.environ.get(MIRROR_VARIABLE):
        return mirror
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file():
            for uri, components in sources_of(file):
                # Not debian-security, nor another project's packages.
                if uri.rstrip("/").endswith("/debian") and "main" in components:
                    return uri
    raise Failed(
        f"mirror of Debian: must be one of this machine's apt sources, got none; "
        f"set {MIRROR_VARIABLE} to one"
    )


def sources_of(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Addresses in a file of apt sources, each with its components.

    Source: sources.list(5), both of its formats.
    """
    text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if file.suffix == ".list":
        for line in re.findall(r"^deb\s+(?:\[[^]]*\]\s*)?(.*)$", text, flags=re.MULTILINE):
            uri, _, *components = line.partition("#")[0].split()
            yield uri, components
    elif file.suffix == ".sources":
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.*)$", stanza, flags=re.MULTILINE))
            if fields.get("Enabled", "yes") != "no" and "deb" in fields.get("Types", "").split():
                for uri in fields.get("URIs", "").split():
                    yield uri, fields.get("Components", "").split()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--architecture", default="")
    arguments = parser.parse_args()
    state = arguments.directory / ".apt"
    try:
        fill(
            arguments.directory,
            state=state,
            packages=tuple(arguments.packages),
            suite=arguments.suite,
            architecture=arguments.architecture or host_architecture(),
        )
    except Failed as failure:
        sys.exit(str(failure))
    finally:
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    main()
