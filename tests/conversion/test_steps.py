"""Where steps lie that outlive a kill."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from edgeprep import alone
from edgeprep.conversion import steps as module
from edgeprep.conversion.steps import Steps
from edgeprep.errors import StorageError

HOLD = """
import sys
from pathlib import Path
from edgeprep.conversion.steps import Steps
with Steps(Path(sys.argv[1])).open("key", Path(sys.argv[2])) as place:
    (place / "half").write_text("done")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_step_wrote_is_there_when_it_is_opened_again(tmp_path):
    steps = Steps(tmp_path / "steps")
    with steps.open("key", tmp_path) as place:
        (place / "half").write_text("done")
    with steps.open("key", tmp_path) as place:
        assert (place / "half").read_text() == "done"
    with steps.open("other", tmp_path) as place:
        assert list(place.iterdir()) == []


def test_a_fresh_one_begins_with_nothing(tmp_path):
    with Steps(tmp_path / "steps").open("key", tmp_path) as place:
        (place / "half").write_text("done")
        (place / "more").mkdir()
    with Steps(tmp_path / "steps", fresh=True).open("key", tmp_path) as place:
        assert list(place.iterdir()) == []


def test_a_step_that_another_process_is_at_is_done_in_the_scratch_directory(tmp_path):
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", HOLD, tmp_path / "steps", tmp_path / "scratch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with Steps(tmp_path / "steps").open("key", tmp_path / "scratch") as place:
            assert place.parent == tmp_path / "scratch"
            assert list(place.iterdir()) == []
        other.kill()
    # The system lets go of what a killed process held.
    with Steps(tmp_path / "steps").open("key", tmp_path / "scratch") as place:
        assert (place / "half").read_text() == "done"


def test_the_steps_that_were_not_used_for_longest_are_thrown_away(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeprep.conversion.steps._KEPT", 3)
    clock = iter(range(1, 100))
    utime = __import__("os").utime
    monkeypatch.setattr("os.utime", lambda path: utime(path, (now := next(clock), now)))
    steps = Steps(tmp_path / "steps")
    for key in ("a", "b", "c", "a", "d", "e"):
        with steps.open(key, tmp_path) as place:
            (place / "file").write_text(key)
    assert sorted(path.name for path in (tmp_path / "steps").iterdir() if path.is_dir()) == [
        *("a", "d", "e")
    ]


def test_a_fresh_one_keeps_what_it_did_itself(tmp_path):
    steps = Steps(tmp_path / "steps", fresh=True)
    with steps.open("key", tmp_path) as place:
        (place / "half").write_text("done")
    with steps.open("key", tmp_path) as place:
        assert (place / "half").read_text() == "done"


def test_a_lock_that_was_removed_while_it_was_opened_keeps_others_out_all_the_same(
    tmp_path, monkeypatch
):
    (tmp_path / "scratch").mkdir()
    take, calls = alone._take, []

    def removed_before(lock):
        if not calls:
            (tmp_path / "steps" / "key.lock").unlink()
        calls.append(lock)
        return take(lock)

    monkeypatch.setattr(alone, "_take", removed_before)
    steps = Steps(tmp_path / "steps")
    with steps.open("key", tmp_path / "scratch") as place:
        assert place == tmp_path / "steps" / "key"
        with Steps(tmp_path / "steps").open("key", tmp_path / "scratch") as other:
            assert other == tmp_path / "scratch" / "key"


def test_a_step_that_another_process_throws_away_meanwhile_is_no_fault(tmp_path):
    (tmp_path / "steps").mkdir()
    # A link to nothing is listed, and is not there when it is looked at.
    (tmp_path / "steps" / "gone.lock").symlink_to(tmp_path / "nothing")
    with Steps(tmp_path / "steps").open("key", tmp_path) as place:
        assert place.is_dir()


def test_what_takes_too_much_of_the_disk_is_thrown_away_first_what_was_used_longest_ago(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_MOST_BYTES", 150)
    clock = iter(range(1, 100))
    utime = __import__("os").utime
    monkeypatch.setattr("os.utime", lambda path: utime(path, (now := next(clock), now)))
    steps = Steps(tmp_path / "steps")
    for key in ("a", "b", "a", "c"):
        with steps.open(key, tmp_path) as place:
            (place / "deep").mkdir(exist_ok=True)
            (place / "deep" / "file").write_bytes(bytes(60))
    left = sorted(path.name for path in (tmp_path / "steps").iterdir())
    assert left == ["a", "a.lock", "c", "c.lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "steps").write_text("a file")
    with pytest.raises(StorageError) as fault, Steps(tmp_path / "steps").open("key", tmp_path):  # noqa: PT011 -- whole, below
        pass
    assert str(fault.value) == (
        f"{tmp_path}/steps: must be a directory that can be written, for steps that go on "
        "after a kill, got 'File exists'; set EDGEPREP_CACHE"
    )


CLAIM = """
import sys
from pathlib import Path
from edgeprep.conversion.steps import Steps
with Steps(Path(sys.argv[1])).claim("key", "here: one at a time may work"):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_has_claimed_is_refused_until_it_ends(tmp_path):
    command, rule = [sys.executable, "-c", CLAIM, tmp_path], "here: one at a time may work"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(StorageError) as fault, Steps(tmp_path).claim("key", rule):  # noqa: PT011 -- whole, below
            pass
        assert str(fault.value) == f"{rule}, got another one under way; wait for its end"
        with Steps(tmp_path).claim("other", rule):
            pass
        other.kill()
    with Steps(tmp_path).claim("key", rule):
        pass
    assert list(tmp_path.glob("*.lock")) == []


def test_a_cache_that_cannot_be_written_keeps_nobody_out(tmp_path):
    (tmp_path / "steps").write_text("a file")
    with Steps(tmp_path / "steps").claim("key", "here"):
        pass


def test_what_was_killed_is_neither_thrown_away_nor_counted_for_a_week(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 150)
    steps = Steps(tmp_path / "steps")
    with suppress(KeyboardInterrupt), steps.open("killed", tmp_path) as place:
        (place / "weights").write_bytes(bytes(1000))
        raise KeyboardInterrupt
    for key in ("before", "after"):
        with steps.open(key, tmp_path) as place:
            (place / "file").write_bytes(bytes(60))
    assert [(tmp_path / "steps" / key).is_dir() for key in ("killed", "before", "after")] == [
        *(True, True, True)
    ]
    os.utime(tmp_path / "steps" / "killed.lock", (1, 1))
    with steps.open("after", tmp_path):
        pass
    assert [(tmp_path / "steps" / key).is_dir() for key in ("killed", "before", "after")] == [
        *(False, True, True)
    ]


def test_what_ended_with_an_error_is_thrown_away_as_what_ended_well(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 150)
    steps = Steps(tmp_path / "steps")
    with suppress(ZeroDivisionError), steps.open("failed", tmp_path) as place:
        (place / "weights").write_bytes(bytes(1000))
        raise ZeroDivisionError
    with steps.open("next", tmp_path):
        pass
    assert not (tmp_path / "steps" / "failed").exists()
