"""The remembered choice: used when nothing changed, and only if every byte is as it was."""

import fcntl
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from msgspec.structs import replace

import edgeprep
from edgeprep.bundle import Manifest
from edgeprep.errors import StorageError
from edgeprep.monitor import Event
from edgeprep.runtime import Session
from edgeprep.runtime.choices import ChoiceCache, cache_directory

Open = Callable[..., Session]


@pytest.fixture
def open_again(bundle: Path, fakes: SimpleNamespace) -> Open:
    registry = fakes.registry(fakes.Slow, fakes.Right)

    def open_again(**options: str) -> Session:
        with edgeprep.open(bundle, registry=registry, seconds=0.01, **options) as session:
            return session

    return open_again


def the_file() -> Path:
    (path,) = (Path(cache_directory()) / "choices").iterdir()
    return path


def messages(session: Session) -> list[str]:
    return [event.message for event in session.events.kept if event.kind == "cache"]


def test_a_second_open_remembers_the_choice_and_loads_nothing_else(
    open_again: Open, fakes: SimpleNamespace
) -> None:
    first = open_again()
    fakes.Right.loaded.clear()  # a list that all fakes share
    second = open_again()
    assert not first.remembered
    assert second.remembered
    assert [o.to_json() for o in second.outcomes] == [o.to_json() for o in first.outcomes]
    assert fakes.Right.loaded == ["fake-fp32"]


def test_preferences_are_remembered_apart(open_again: Open) -> None:
    assert open_again().choice.backend == "right"
    assert open_again(prefer="slow").choice.backend == "slow"
    assert open_again().choice.backend == "right"
    assert open_again(prefer="slow").remembered


def test_another_bundle_is_measured_anew(
    open_again: Open, write: Callable[[Manifest], Path], manifest: Manifest
) -> None:
    open_again()
    write(replace(manifest, name="other"))
    assert not open_again().remembered


def test_an_engine_that_changed_on_disk_is_measured_anew(
    open_again: Open, fakes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tmp_path / "lib" / "engine_of_this_test.py"
    engine.parent.mkdir()
    engine.write_text("")
    monkeypatch.syspath_prepend(engine.parent)
    monkeypatch.setattr(fakes.Right, "requires", ("engine_of_this_test",))
    open_again()
    assert open_again().remembered
    engine.write_text("version = 2\n")
    assert not open_again().remembered


def test_every_flipped_bit_of_the_file_is_noticed(tmp_path: Path) -> None:
    told: list[Event] = []
    cache = ChoiceCache(key="ab" * 32, tell=told.append, directory=str(tmp_path))
    cache.store([{"variant": "fake-fp32", "reason": "the fastest"}])
    content = Path(cache.path).read_bytes()
    assert cache.load() == [{"variant": "fake-fp32", "reason": "the fastest"}]
    for index in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[index] ^= 1 << bit
            Path(cache.path).write_bytes(damaged)
            assert cache.load() is None, (index, bit)
            cache.store([])
    said = f"{cache.path}: it is damaged, the choice is measured again"
    assert [(event.kind, event.message) for event in told] == [("cache", said)] * 8 * len(content)


def test_a_damaged_choice_is_said_and_made_anew(
    open_again: Open, caplog: pytest.LogCaptureFixture
) -> None:
    open_again()
    path = the_file()
    path.write_bytes(path.read_bytes()[:-1])
    said = f"{path}: it is damaged, the choice is measured again"
    with caplog.at_level(logging.WARNING, "edgeprep"):
        session = open_again()
    assert not session.remembered
    assert [(event.kind, event.message) for event in session.events.kept] == [("cache", said)]
    assert caplog.messages == [f"session 'means': {said}"]
    assert open_again().remembered


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_choice_that_others_may_open_is_not_used(open_again: Open, mode: int) -> None:
    open_again()
    assert the_file().stat().st_mode & 0o777 == 0o600
    the_file().chmod(mode)
    session = open_again()
    assert not session.remembered
    said = f"{the_file()}: it is not a file of this user alone, the choice is measured again"
    assert messages(session) == [said]
    assert the_file().stat().st_mode & 0o777 == 0o600
    assert open_again().remembered


def test_a_choice_of_another_user_is_not_used(
    open_again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_again()
    real, size = os.fstat, the_file().stat().st_size

    def another_owner(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        values = list(found)
        values[4] += int(found.st_size == size)
        return os.stat_result(values)

    with monkeypatch.context() as patch:
        # Only root could give it away.
        patch.setattr(os, "fstat", another_owner)
        session = open_again()
    assert not session.remembered
    said = f"{the_file()}: it is not a file of this user alone, the choice is measured again"
    assert messages(session) == [said]


def test_a_directory_that_others_may_write_to_is_neither_read_nor_written(
    open_again: Open,
) -> None:
    open_again()
    path = the_file()
    path.parent.chmod(0o777)
    before = path.stat()
    session = open_again()
    assert not session.remembered
    rule = f"{path.parent}: must be a directory of this user alone"
    assert messages(session) == [
        f"{rule}, the choice is measured again",
        f"the choice cannot be remembered: {rule}",
    ]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_in_the_place_of_a_choice_is_not_followed(open_again: Open, tmp_path: Path) -> None:
    open_again()
    path, target = the_file(), tmp_path / "elsewhere"
    path.rename(target)
    path.symlink_to(target)
    session = open_again()
    assert not session.remembered
    (message,) = messages(session)
    assert message.startswith(f"{path}: ")
    assert not path.is_symlink()
    assert target.is_file()


def test_what_killed_processes_left_is_removed_at_the_next_open(
    open_again: Open, tmp_path: Path
) -> None:
    open_again()
    folders = [tmp_path / "cache" / name for name in ("choices", "verdicts")]
    left = [folder / ".0123456789abcdef.tmp" for folder in folders]
    written = folders[0] / ".1123456789abcdef.tmp"
    folders[1].mkdir(mode=0o700)
    for path in left:
        path.write_bytes(b"half")
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert open_again().remembered
        assert [path.exists() for path in left] == [False, False]
        assert written.exists()
    assert open_again().remembered
    assert not written.exists()


def test_a_remembered_choice_that_now_computes_wrongly_is_measured_anew(
    open_again: Open, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_again().choice.backend == "right"
    monkeypatch.setattr(fakes.Right, "compute", fakes.Wrong.compute)
    again = open_again()
    assert not again.remembered
    assert {o.candidate.backend: o.verdict for o in again.outcomes}["right"] == "rejected"


@pytest.mark.parametrize("requires", ["no_such_vendor.sdk", "without_a_spec"])
def test_an_engine_that_python_cannot_look_for_hides_no_other(
    open_again: Open, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, requires: str
) -> None:
    stub = ModuleType("without_a_spec")
    stub.__spec__ = None
    monkeypatch.setitem(sys.modules, "without_a_spec", stub)
    monkeypatch.setattr(fakes.Slow, "requires", (requires,))
    assert open_again().choice.backend == "right"


def test_a_user_without_a_home_directory_does_without_a_cache(
    open_again: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_such_user(number: int) -> None:
        raise KeyError(number)

    for variable in ("EDGEPREP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", no_such_user)
    with caplog.at_level(logging.WARNING, "edgeprep"):
        assert open_again().choice.backend == "right"
    (message,) = caplog.messages
    assert message == (
        "session 'means': the choice cannot be remembered: cache directory: must lie in a home "
        "directory, got a user who has none; set EDGEPREP_CACHE"
    )


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, "{home}/.cache/edgeprep"),
        ({"EDGEPREP_CACHE": "~"}, "{home}"),
        ({"EDGEPREP_CACHE": "~/of/mine"}, "{home}/of/mine"),
        ({"EDGEPREP_CACHE": "/of/~/all", "XDG_CACHE_HOME": "/xdg"}, "/of/~/all"),
        ({"XDG_CACHE_HOME": "~/xdg"}, "{home}/xdg/edgeprep"),
        ({"XDG_CACHE_HOME": "/xdg", "EDGEPREP_CACHE": ""}, "/xdg/edgeprep"),
    ],
    ids=str,
)
def test_the_cache_lies_where_variables_say_and_a_tilde_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], wanted: str
) -> None:
    for variable in ("EDGEPREP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"HOME": str(tmp_path), **settings}.items():
        monkeypatch.setenv(variable, value)
    assert cache_directory() == wanted.format(home=tmp_path)


def test_the_home_of_nobody_is_no_place_for_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_CACHE", "~no-such-user/cache")
    message = (
        "cache directory: must lie in a home directory, got a user who has none; "
        "set EDGEPREP_CACHE to a whole path"
    )
    with pytest.raises(StorageError, match=f"^{message}$"):
        cache_directory()


def test_in_a_cache_that_others_may_open_what_is_below_is_this_users_alone(
    open_again: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    shared.chmod(0o777)
    link.symlink_to(shared)
    monkeypatch.setenv("EDGEPREP_CACHE", str(link))
    open_again()
    assert open_again().remembered
    modes = {path.name: path.stat().st_mode & 0o777 for path in shared.iterdir()}
    assert modes["choices"] == 0o700
    assert set(modes.values()) == {0o700}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_the_place_of_a_choice_is_not_waited_for(open_again: Open) -> None:
    open_again()
    path = the_file()
    path.unlink()
    os.mkfifo(path)
    assert not open_again().remembered


def test_a_cache_that_cannot_be_written_is_said_once_and_does_no_harm(
    open_again: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocked = tmp_path / "a file, not a directory"
    blocked.write_text("")
    monkeypatch.setenv("EDGEPREP_CACHE", str(blocked))
    with caplog.at_level(logging.WARNING, "edgeprep"):
        assert open_again().choice.backend == "right"
    assert len(caplog.messages) == 1
    assert "the choice cannot be remembered" in caplog.messages[0]


def test_a_remembered_choice_of_reduced_precision_is_used_again(
    write: Callable[[Manifest], Path], manifest: Manifest, fakes: SimpleNamespace
) -> None:
    variant = replace(manifest.variants[0], reduced={"bf16": 0.004})
    path = write(replace(manifest, variants=(variant,), max_drop=0.01))
    for remembered in (False, True):
        with edgeprep.open(path, registry=fakes.registry(fakes.Reduced), seconds=0.01) as session:
            assert dict(session.choice.options) == {"precision": "bf16"}
            assert session.remembered == remembered
