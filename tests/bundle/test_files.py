"""Files that appear whole or not at all, and opening that never waits."""

import errno
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgeprep.errors import OutputExists, StorageError
from edgeprep.files import atomic_write, open_regular


def whole(message):
    return f"^{re.escape(message)}$"


@pytest.fixture
def path(tmp_path):
    """A file that is there already, alone in its directory."""
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    return path


def untouched(path):
    return path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


def test_chunks_are_written_in_order(tmp_path):
    atomic_write(tmp_path / "a", iter([b"one", b"", b"two"]))

    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_relative_path_is_one_in_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    atomic_write("a", [b"one"])

    assert (tmp_path / "a").read_bytes() == b"one"


def test_permissions_follow_the_mask(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", [b"one"])
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    atomic_write(tmp_path / ("a" * 255), [b"one"])

    assert (tmp_path / ("a" * 255)).read_bytes() == b"one"


def test_what_is_there_stays_unless_told(path):
    rule = f"{path}: already exists; pass --overwrite (overwrite=True) to replace it"
    with pytest.raises(OutputExists, match=whole(rule)):
        atomic_write(path, [b"new"])
    assert untouched(path)

    atomic_write(path, [b"new"], overwrite=True)
    assert path.read_bytes() == b"new"


def test_what_appears_meanwhile_stays(tmp_path):
    path = tmp_path / "out.bin"

    def chunks():
        yield b"new"
        path.write_bytes(b"old")

    with pytest.raises(OutputExists, match="already exists"):
        atomic_write(path, chunks())
    assert untouched(path)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_is_no_obstacle(tmp_path, monkeypatch, code):
    def refuse(source, target):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)

    atomic_write(tmp_path / "a", [b"one"])
    assert (tmp_path / "a").read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
    with pytest.raises(OutputExists, match="already exists"):
        atomic_write(tmp_path / "a", [b"two"])


def test_a_link_is_replaced_and_what_it_names_stays(path):
    link = path.with_name("link")
    link.symlink_to(path)

    with pytest.raises(OutputExists, match="already exists"):
        atomic_write(link, [b"new"])
    atomic_write(link, [b"new"], overwrite=True)

    assert link.read_bytes() == b"new"
    assert not link.is_symlink()
    assert path.read_bytes() == b"old"


def test_a_dangling_link_counts_as_there(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    with pytest.raises(OutputExists, match="already exists"):
        atomic_write(tmp_path / "link", [b"new"])


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_an_interrupt_leaves_no_trace(path, step, interrupt):
    def chunks():
        for index in range(4):
            if index == step:
                raise interrupt
            yield b"new" * 100_000

    with pytest.raises(interrupt, match=r"^$"):
        atomic_write(path, chunks(), overwrite=True)
    assert untouched(path)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupt_around_a_system_call_leaves_old_or_new(path, monkeypatch, call, moment):
    real = getattr(os, call)

    def interrupted(*arguments):
        if moment == "after":
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        atomic_write(path, [b"new"], overwrite=True)

    replaced = (call, moment) == ("replace", "after")
    assert path.read_bytes() == (b"new" if replaced else b"old")
    assert list(path.parent.iterdir()) == [path]


def test_an_error_of_the_chunks_gets_out_as_it_is(path):
    def chunks():
        yield b"new"
        raise ArithmeticError("of the caller")

    with pytest.raises(ArithmeticError, match="of the caller"):
        atomic_write(path, chunks(), overwrite=True)
    assert untouched(path)


def test_a_check_sees_the_written_bytes_and_can_refuse_them(path):
    seen = []

    def check(stream):
        seen.append(stream.read())
        raise ArithmeticError("not these")

    with pytest.raises(ArithmeticError, match="not these"):
        atomic_write(path, [b"new"], overwrite=True, check=check)
    assert seen == [b"new"]
    assert untouched(path)


@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_an_error_of_the_disk_is_a_storage_error(tmp_path, monkeypatch, call, code):
    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    path = tmp_path / "out.bin"

    rule = f"{path}: must be a file that can be written, got {os.strerror(code)!r}"
    with pytest.raises(StorageError, match=re.escape(rule)) as caught:
        atomic_write(path, [b"new"])
    assert caught.value.__cause__.errno == code
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(path):
    # A limit on file sizes fails as a full disk does, at any byte, without needing one.
    script = """
import resource, sys
from edgeprep.errors import StorageError
from edgeprep.files import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    atomic_write(sys.argv[1], [bytes(60_000)] * 2, overwrite=True, size_bytes=120_000)
except StorageError as error:
    print(error)
"""
    output = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    ).stdout

    rule = (
        rf"^{re.escape(str(path))}: must be a file that can be written, got 'File too large'; "
        r"needs 120000 bytes, \d+ bytes are free\n$"
    )
    assert re.match(rule, output), output
    assert untouched(path)


def test_a_full_device_is_refused_before_it_is_replaced():
    rule = "/dev/full: must be a regular file, got a device"
    with pytest.raises(StorageError, match=whole(rule)):
        atomic_write("/dev/full", [b"new"], overwrite=True)

    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_directory_that_is_missing_is_named(tmp_path):
    path = tmp_path / "missing" / "out.bin"

    rule = f"{path}: must lie in an existing directory, got {str(path.parent)!r}"
    with pytest.raises(StorageError, match=whole(rule)):
        atomic_write(path, [b"new"])


def test_a_directory_is_no_output(tmp_path):
    (tmp_path / "out").mkdir()

    rule = f"{tmp_path / 'out'}: must be a regular file, got a directory"
    with pytest.raises(StorageError, match=whole(rule)):
        atomic_write(tmp_path / "out", [b"new"], overwrite=True)
    with pytest.raises(StorageError, match=whole(rule)):
        atomic_write(tmp_path / "out", [b"new"])


def test_a_directory_whose_name_is_too_long_is_a_storage_error(tmp_path):
    path = tmp_path / ("a" * 256) / "out.bin"

    rule = f"{path}: must be a file that can be written, got 'File name too long'"
    with pytest.raises(StorageError, match=whole(rule)):
        atomic_write(path, [b"new"])


@pytest.mark.parametrize(("name", "reason"), [("a\0b", "null byte"), ("a" * 256, "too long")])
def test_a_name_that_no_file_can_have_is_a_storage_error(tmp_path, name, reason):
    with pytest.raises(StorageError, match=rf"must be a file that can be written, got .*{reason}"):
        atomic_write(tmp_path / name, [b"new"])
    with pytest.raises(StorageError, match=rf"must be a file that can be read, got .*{reason}"):
        open_regular(tmp_path / name)


def test_eight_writers_leave_one_whole_file(path):
    contents = [bytes([index]) * 100_000 for index in range(8)]
    writers = [
        threading.Thread(target=atomic_write, args=(path, [c]), kwargs={"overwrite": True})
        for c in contents
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert path.read_bytes() in contents
    assert list(path.parent.iterdir()) == [path]


def test_a_regular_file_is_opened(path):
    with open_regular(str(path)) as stream:
        assert stream.read() == b"old"


@pytest.mark.parametrize("kind", ["a directory", "a pipe", "a device"])
def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")

    with pytest.raises(StorageError, match=whole(f"{path}: must be a regular file, got {kind}")):
        open_regular(path)


def test_a_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(StorageError, match="must be a file that can be read, got 'No such dev"):
            open_regular(tmp_path / "s")


def test_a_file_that_is_missing_is_told(tmp_path):
    path = tmp_path / "x"

    rule = f"{path}: must be a file that can be read, got 'No such file or directory'"
    with pytest.raises(StorageError, match=whole(rule)):
        open_regular(path)
