"""Compiled forms of models: used as they were written and by whom, or not at all."""

import errno
import fcntl
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import edgeprep
from edgeprep.errors import BackendError
from edgeprep.interfaces import Backend, Device, Model, Options, Runner
from edgeprep.runtime import Session
from edgeprep.runtime import compiled as compiled_forms

FORM = b"a form that was compiled"
GREEN = np.broadcast_to(np.array([10, 200, 30], np.uint8), (4, 4, 3)).copy()


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPREP_ISOLATE", "0")


@pytest.fixture
def engine(fakes: SimpleNamespace) -> type[Backend]:
    """One that compiles, and says how models were loaded."""

    class CompiledRunner(fakes.Runner):  # type: ignore[misc, name-defined]
        def compiled(self) -> bytes | None:
            form: bytes | Exception | None = type(self.backend).form
            if isinstance(form, Exception):
                raise form
            return form

    class Compiling(fakes.Right):  # type: ignore[misc, name-defined]
        name = "compiling"
        form: bytes | Exception | None = FORM
        release = "1"
        ways: ClassVar[list[str]] = []

        def load(self, model: Model, device: Device, options: Options) -> Runner:
            self.ways.append("model")
            return CompiledRunner(self)

        def compiled_for(self, device: Device) -> str | None:
            return self.release

        def load_compiled(
            self, compiled: bytes, model: Model, device: Device, options: Options
        ) -> Runner:
            self.ways.append("form")
            if compiled != FORM:
                raise BackendError("compiling: must be a form of this engine, got another")
            return CompiledRunner(self)

    return Compiling


@pytest.fixture
def open_it(
    bundle: Path, fakes: SimpleNamespace, engine: Any
) -> Callable[[], tuple[str, list[str]]]:
    """Opens, and says from what the model was loaded last, and which events there were."""
    registry = fakes.registry(engine)

    def opened() -> tuple[str, list[str]]:
        engine.ways.clear()
        with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
            assert session(GREEN).label == "green"
            return engine.ways[-1], _cache_events(session)

    return opened


def _cache_events(session: Session) -> list[str]:
    # Those of a candidate: what is not used of the remembered choice is of none.
    told = [event for event in session.events.kept if event.kind == "cache"]
    return [event.message for event in told if event.candidate]


Opening = Callable[[], tuple[str, list[str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def form(open_it: Opening, folder: Path) -> Path:
    """The file that a first open has kept."""
    assert open_it() == ("model", [])
    (path,) = folder.iterdir()
    return path


def says(form: Path, why: str) -> list[str]:
    candidate = "fake-fp32 compiling cpu threads=1"
    return [f"{candidate}: {form}: {why}, the model is compiled again"]


def test_what_was_compiled_is_loaded_the_next_time(form: Path, open_it: Opening) -> None:
    assert open_it() == ("form", [])
    assert open_it() == ("form", [])


def test_files_are_their_users_alone_and_hold_a_digest(form: Path, folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert form.stat().st_mode & 0o777 == 0o600
    digest, _, body = form.read_bytes().partition(b"\n")
    assert body == FORM
    assert len(digest) == 64


def test_nothing_is_kept_where_a_variable_says_so(
    open_it: Opening, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_COMPILE_CACHE", "0")
    assert open_it() == ("model", [])
    assert open_it() == ("model", [])
    assert not folder.exists()


def test_an_engine_that_compiles_nothing_has_no_files(
    open_it: Opening, folder: Path, engine: Any
) -> None:
    engine.form = None
    assert open_it() == ("model", [])
    assert list(folder.iterdir()) == []


def test_each_byte_that_is_flipped_is_found(form: Path, open_it: Opening) -> None:
    whole = form.read_bytes()
    for index in range(len(whole)):
        form.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        os.utime(form)
        assert open_it() == ("model", says(form, "it is damaged")), index
        assert form.read_bytes() == whole


def test_each_length_to_which_it_is_cut_is_found(form: Path, open_it: Opening) -> None:
    whole = form.read_bytes()
    for length in range(len(whole)):
        form.write_bytes(whole[:length])
        assert open_it() == ("model", says(form, "it is damaged")), length
        assert form.read_bytes() == whole


@pytest.mark.parametrize(
    "foreign",
    [b"\0" * 200, b"PK\x03\x04 some archive", b"0" * 64 + b"\n" + FORM],
    ids=["zeros", "archive", "digest of something else"],
)
def test_a_foreign_file_is_replaced(form: Path, open_it: Opening, foreign: bytes) -> None:
    form.write_bytes(foreign)
    assert open_it() == ("model", says(form, "it is damaged"))
    assert open_it() == ("form", [])


def test_a_form_under_the_name_of_another_is_not_used(
    form: Path, open_it: Opening, engine: Any, folder: Path
) -> None:
    engine.release = "2"
    assert open_it() == ("model", [])
    (other,) = (path for path in folder.iterdir() if path != form)
    other.write_bytes(form.read_bytes())
    assert open_it() == ("model", says(other, "it is damaged"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_may_open_is_not_used(form: Path, open_it: Opening, mode: int) -> None:
    form.chmod(mode)
    assert open_it() == ("model", says(form, "it is not a file of this user alone"))
    assert form.stat().st_mode & 0o777 == 0o600
    assert open_it() == ("form", [])


def test_a_file_of_another_user_is_not_used(
    form: Path, open_it: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, size = os.fstat, form.stat().st_size

    def another_owner(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        values = list(found)
        values[4] += int(found.st_size == size)
        return os.stat_result(values)

    with monkeypatch.context() as patch:
        # Only root could give it away.
        patch.setattr(compiled_forms.os, "fstat", another_owner)
        why = says(form, "it is not a file of this user alone")
        assert open_it()[1][:1] == why
    assert open_it()[0] == "form"


def test_a_directory_of_another_user_is_neither_read_nor_written(
    form: Path, open_it: Opening, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.geteuid()
    monkeypatch.setattr(compiled_forms.os, "geteuid", lambda: real + 1)
    message = (
        "fake-fp32 compiling cpu threads=1: compiled models are not kept: "
        f"{folder}: must be a directory of this user alone"
    )
    assert open_it() == ("model", [message])
    assert [*folder.iterdir()] == [form]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_a_directory_that_others_may_enter_is_not_used(
    form: Path, open_it: Opening, folder: Path, mode: int
) -> None:
    folder.chmod(mode)
    way, messages = open_it()
    assert way == "model"
    assert messages[0].endswith(f"{folder}: must be a directory of this user alone")


def test_a_link_is_not_followed(form: Path, open_it: Opening, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    form.rename(target)
    form.symlink_to(target)
    way, (message,) = open_it()
    assert way == "model"
    assert message.endswith("Too many levels of symbolic links, the model is compiled again")
    assert not form.is_symlink()
    assert target.is_file()


def test_a_pipe_and_a_directory_are_not_waited_for(form: Path, open_it: Opening) -> None:
    form.unlink()
    os.mkfifo(form)
    assert open_it() == ("model", says(form, "it is no regular file"))
    form.unlink()
    form.mkdir()
    assert open_it()[0] == "model"


def test_another_version_of_the_engine_another_bundle_and_other_settings_compile_anew(
    form: Path, open_it: Opening, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for change in (
        lambda: setattr(engine, "release", "2"),
        lambda: monkeypatch.setattr(compiled_forms, "__version__", "999"),
        lambda: monkeypatch.setattr(compiled_forms, "_machine", lambda plugin: "another processor"),
        lambda: monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41"),
    ):
        assert open_it() == ("form", [])
        change()
        assert open_it() == ("model", [])


def test_a_form_that_the_engine_refuses_is_told_once_and_not_kept_again(
    form: Path, open_it: Opening, engine: Any
) -> None:
    engine.form = b"what this engine cannot read"
    form.unlink()
    assert open_it() == ("model", [])
    message = (
        "fake-fp32 compiling cpu threads=1: its compiled model is of no use, it is compiled "
        "again: compiling: must be a form of this engine, got another"
    )
    assert open_it() == ("model", [message])
    assert open_it() == ("model", [])


def test_a_form_that_failed_once_is_kept_again_after_a_day(
    form: Path, open_it: Opening, engine: Any
) -> None:
    works = engine.load_compiled

    def fail(self: Backend, *arguments: object) -> Runner:
        raise MemoryError("others have it just now")

    engine.load_compiled = fail
    way, (message,) = open_it()
    assert way == "model"
    assert message.endswith("it is compiled again: MemoryError('others have it just now')")
    engine.load_compiled = works
    assert open_it() == ("model", [])
    almost, more = time.time() - 24 * 3600 + 60, time.time() - 24 * 3600 - 60
    os.utime(form, (almost, almost))
    assert open_it() == ("model", [])
    assert form.stat().st_mtime < almost + 1  # to look at it makes it no younger
    os.utime(form, (more, more))
    assert open_it() == ("model", [])
    assert open_it() == ("form", [])


def test_another_plugin_compiles_anew(
    form: Path, open_it: Opening, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "lib" / "plugin_of_this_test.py"
    plugin.parent.mkdir()
    plugin.write_text("")
    monkeypatch.syspath_prepend(plugin.parent)
    monkeypatch.setattr(engine, "__module__", "plugin_of_this_test.engine")
    assert open_it() == ("model", [])
    assert open_it() == ("form", [])
    plugin.write_text("settings = 2\n")
    compiled_forms._machine.cache_clear()  # as in the next process
    assert open_it() == ("model", [])


def test_a_form_that_computes_wrong_numbers_is_found_by_golden_samples(
    form: Path, open_it: Opening, engine: Any, fakes: SimpleNamespace
) -> None:
    def load_wrong(self: Backend, *arguments: object) -> Runner:
        self.ways.append("form")  # type: ignore[attr-defined]
        return fakes.Runner(fakes.Wrong())  # type: ignore[no-any-return]

    engine.load_compiled = load_wrong
    way, (message,) = open_it()
    assert way == "model"
    assert message.endswith(
        "it is compiled again: wrong numbers: relative error 0.05, allowed 0.001"
    )


def test_an_engine_that_cannot_say_what_a_form_depends_on_runs_without(
    open_it: Opening, engine: Any, folder: Path
) -> None:
    def fail(self: Backend, device: Device) -> str:
        raise OSError("the driver hangs up")

    engine.compiled_for = fail
    message = "fake-fp32 compiling cpu threads=1: compiled models are not kept: the driver hangs up"
    assert open_it() == ("model", [message])


def test_a_full_disk_costs_the_form_alone(open_it: Opening, folder: Path, engine: Any) -> None:
    engine.form = FORM * 100_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        way, (message,) = open_it()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert way == "model"
    assert message == (
        "fake-fp32 compiling cpu threads=1: the compiled model cannot be kept: File too large"
    )
    assert [*folder.iterdir()] == []


def test_an_engine_that_fails_as_it_gives_its_form_costs_the_form_alone(
    open_it: Opening, engine: Any, folder: Path
) -> None:
    # As plugins may raise anything.
    engine.form = RuntimeError("device busy")
    assert open_it() == (
        "model",
        ["fake-fp32 compiling cpu threads=1: the compiled model cannot be kept: device busy"],
    )
    assert [*folder.iterdir()] == []


def test_a_place_that_cannot_be_written_costs_the_form_alone(
    open_it: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGEPREP_CACHE", str(tmp_path / "file" / "cache"))
    way, (message,) = open_it()
    assert way == "model"
    assert message == (
        "fake-fp32 compiling cpu threads=1: compiled models are not kept: Not a directory"
    )


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOTSUP], ids=["no locks", "unsupported"])
def test_where_files_cannot_be_locked_forms_are_kept_and_leftovers_age(
    open_it: Opening, folder: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert open_it() == ("model", [])
    fresh, old = folder / ".1.tmp", folder / ".2.tmp"
    fresh.touch()
    old.touch()
    os.utime(old, (0, 0))
    assert open_it() == ("form", [])
    assert fresh.exists()
    assert not old.exists()


def test_the_longest_unused_go_first_when_there_is_too_much(
    form: Path, open_it: Opening, folder: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_forms, "_MOST_BYTES", 2 * form.stat().st_size)
    engine.release = "2"
    assert open_it()[0] == "model"
    (second,) = (path for path in folder.iterdir() if path != form)
    os.utime(form, (1, 1))
    os.utime(second, (2, 2))
    engine.release = "1"
    assert open_it()[0] == "form"  # used now
    engine.release = "3"
    assert open_it()[0] == "model"
    assert not second.exists()
    assert form.exists()
    assert len([*folder.iterdir()]) == 2


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(
    form: Path, open_it: Opening, folder: Path
) -> None:
    left, written = folder / ".1.tmp", folder / ".2.tmp"
    left.touch()
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert open_it() == ("form", [])
        assert not left.exists()
        assert written.exists()
    assert open_it() == ("form", [])
    assert not written.exists()
