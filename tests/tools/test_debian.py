"""Packages of Debian come from the mirror of the machine, and lie where they should."""

import io
import tarfile
from importlib import import_module

import pytest

DEB822 = """\
# Types: deb
Types: deb deb-src
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
"""
ONE_LINE = """\
# deb https://old.example/debian bookworm main
deb-src https://source.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/x.gpg] https://other.example/linux/debian bookworm stable
deb [arch=amd64] https://mirror.example/debian bookworm main # ours
"""


@pytest.fixture
def debian(environment, monkeypatch, tmp_path):
    """The module tools/debian.py, on a machine without apt sources."""
    module = import_module("debian")
    monkeypatch.setattr(module, "APT", tmp_path / "apt")
    monkeypatch.delenv(module.MIRROR_VARIABLE, raising=False)
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    return module


@pytest.fixture
def deb(environment):
    """The module tools/deb.py."""
    return import_module("deb")


def member(name, content):
    """One file of an ar archive."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    assert len(header) == 60
    return header + content + b"\n" * (len(content) % 2)


def entry(name, content=b"", **fields):
    """One file of a package, and what is in it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def package(*entries, compression="xz"):
    """A package of these files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return b"!<arch>\n" + b"".join(
        (
            member("debian-binary", b"2.0\n"),
            member("control.tar.xz", b"odd"),
            member(f"data.tar.{compression}", data.getvalue()),
        )
    )


@pytest.mark.parametrize(("file", "text"), [("debian.sources", DEB822), ("debian.list", ONE_LINE)])
def test_the_mirror_is_that_of_the_machine(debian, tmp_path, file, text):
    (tmp_path / "apt" / "sources.list.d" / file).write_text(text)
    assert debian.find_mirror().rstrip("/") == "https://mirror.example/debian"


def test_the_variable_names_another_mirror(debian, tmp_path, monkeypatch):
    (tmp_path / "apt" / "sources.list").write_text("deb https://mirror.example/debian x main\n")
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "https://mine.example/debian")
    assert debian.find_mirror() == "https://mine.example/debian"


def test_a_machine_without_a_mirror_is_told_what_to_set(debian, environment):
    rule = (
        r"^mirror of Debian: must be one of this machine's apt sources, got none; "
        r"set EDGEPREP_DEBIAN_MIRROR to one$"
    )
    with pytest.raises(environment.Failed, match=rule):
        debian.find_mirror()


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_files_directories_and_links_are_unpacked(deb, tmp_path, compression):
    content = package(
        entry("./usr/", type=tarfile.DIRTYPE, mode=0o755),
        entry("./usr/bin/tool", b"#!/bin/sh\n", mode=0o4755),
        entry("./usr/bin/twin", type=tarfile.LNKTYPE, linkname="./usr/bin/tool"),
        entry("./etc/tool", type=tarfile.SYMTYPE, linkname="/usr/bin/tool"),
        entry("./usr/lib/x.so", type=tarfile.SYMTYPE, linkname="x.so.1"),
        compression=compression,
    )
    deb.unpack(content, tmp_path / "tree")
    tree = tmp_path / "tree"
    assert (tree / "usr/bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (tree / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755
    assert (tree / "usr/bin/twin").samefile(tree / "usr/bin/tool")
    assert (tree / "etc/tool").readlink().as_posix() == "../usr/bin/tool"
    assert (tree / "etc/tool").samefile(tree / "usr/bin/tool")
    assert (tree / "usr/lib/x.so").readlink().as_posix() == "x.so.1"


def test_what_lies_in_lib_is_found_in_usr_lib(deb, tmp_path):
    content = package(
        entry("./lib/aarch64/a.so", b"a"),
        entry("./lib/aarch64/b.so", type=tarfile.SYMTYPE, linkname="/lib/aarch64/a.so"),
    )
    (tmp_path / "usr" / "lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    deb.unpack(content, tmp_path)
    assert (tmp_path / "usr/lib/aarch64/a.so").read_bytes() == b"a"
    assert (tmp_path / "usr/lib/aarch64/b.so").read_bytes() == b"a"


def test_only_what_is_asked_for_is_unpacked(deb, tmp_path):
    content = package(entry("./usr/bin/one", b"1"), entry("./usr/bin/two", b"2"))
    deb.unpack(content, tmp_path, only=("usr/bin/one",))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["one"]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (entry("../out", b""), r"\.\./out: must lie inside of the package"),
        (entry("/out", b""), r"/out: must lie inside of the package"),
        (
            entry("a/b", type=tarfile.SYMTYPE, linkname="../../out"),
            r"a/\.\./\.\./out: must lie inside of the package",
        ),
        (entry("device", type=tarfile.CHRTYPE), r"device: must be a file, a directory or a link"),
    ],
    ids=["parent", "absolute", "link", "device"],
)
def test_what_would_lie_outside_is_refused(deb, environment, tmp_path, bad, rule):
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(environment.Failed, match=f"^{rule}$"):
        deb.unpack(package(bad), tree)
    assert list(tmp_path.rglob("out")) == []


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"PK\3\4", r"package: must begin with '!<arch>', got b'PK\\x03\\x04'"),
        (b"!<arch>\n", r"package: must have a data\.tar in it, got none"),
        (
            b"!<arch>\n" + member("data.tar.xz", b"not a tar"),
            r"data\.tar\.xz: cannot be read: .*",
        ),
    ],
    ids=["zip", "empty", "damaged"],
)
def test_what_is_no_package_is_refused(deb, environment, tmp_path, content, rule):
    with pytest.raises(environment.Failed, match=f"(?s)^{rule}$"):
        deb.unpack(content, tmp_path)


def test_a_package_with_another_digest_than_the_index_says_is_not_unpacked(
    debian, environment, tmp_path, monkeypatch
):
    file = tmp_path / "tool_1_arm64.deb"
    file.write_bytes(package(entry("./usr/bin/tool", b"")))
    monkeypatch.setattr(debian, "fetch", lambda *_: [(file, "0" * 64)])
    rule = r"^tool_1_arm64\.deb: has not the SHA256 that the index says, 0{64}$"
    with pytest.raises(environment.Failed, match=rule):
        debian.fill(
            tmp_path / "tree",
            state=tmp_path / "state",
            packages=("tool",),
            suite="bookworm",
            architecture="arm64",
        )
    assert not (tmp_path / "tree" / "usr" / "bin" / "tool").exists()


def test_settings_of_apt_are_private_while_it_runs_and_gone_when_it_fails(
    debian, environment, tmp_path, monkeypatch
):
    seen, state = {}, tmp_path / "state"

    def failing(*command, **_):
        if command[1] == "dump":
            return 'Acquire::http::Proxy "http://me:secret@proxy.example";\n'
        for name in ("apt.conf", "sources.list"):
            file = state / name
            seen[name] = (file.stat().st_mode & 0o777, "secret" in file.read_text())
        raise environment.Failed("no route to the mirror")

    monkeypatch.setattr(debian, "run", failing)
    monkeypatch.setattr(debian, "TRIES", 1)
    monkeypatch.setattr(debian.shutil, "which", lambda name: name)
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "https://me:secret@mine.example/debian")
    with pytest.raises(environment.Failed, match=r"^no route to the mirror$"):
        list(debian.fetch(state, ("tool",), "bookworm", "arm64"))
    assert seen == {"apt.conf": (0o600, True), "sources.list": (0o600, True)}
    kept = [file for file in state.rglob("*") if file.is_file()]
    assert not any("secret" in file.read_text() for file in kept)
