"""`edgeprep convert` stopped from outside, or by a full disk, in the middle of its work."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]
Project = Callable[..., Path]

# click ends the line on which a terminal shows ^C.
NOISE = {"", "an engine says hello", "an exporter says hello"}


def with_signals() -> None:
    # A test run in the background of a shell has SIGINT ignored, and its children have too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for_pause(process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not Path("paused").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def pause(start: Start, project: Project) -> Callable[[str], subprocess.Popen[str]]:
    """Starts a conversion over an old output, and returns when it has come to a moment."""

    def pause(moment: str) -> subprocess.Popen[str]:
        Path("out.edgeprep").write_bytes(b"old")
        words = ("convert", project(), "-o", "out.edgeprep", "--overwrite")
        environment = {**os.environ, "FAKES_PAUSE": moment}
        process = start(*words, env=environment, preexec_fn=with_signals)
        wait_for_pause(process)
        return process

    return pause


def check_stopped(
    process: subprocess.Popen[str], number: signal.Signals, left_behind: Callable[[], list[str]]
) -> None:
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (128 + number, "")
    assert stderr.splitlines()[-1] == f"edgeprep: stopped by {number.name}"
    assert "Traceback" not in stderr
    assert left_behind() == ["out.edgeprep", "paused"]
    assert Path("out.edgeprep").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("model", signal.SIGINT),
        ("data", signal.SIGTERM),
        ("export", signal.SIGINT),
        ("run", signal.SIGHUP),
    ],
)
def test_a_signal_at_any_moment_leaves_the_old_output_and_nothing_else(
    pause: Callable[[str], subprocess.Popen[str]],
    left_behind: Run,
    moment: str,
    number: signal.Signals,
) -> None:
    process = pause(moment)
    process.send_signal(number)
    check_stopped(process, number, left_behind)


def test_a_second_signal_does_not_stop_the_clean_up(
    pause: Callable[[str], subprocess.Popen[str]], left_behind: Run
) -> None:
    process = pause("export")
    # As `timeout` does, and people at a keyboard.
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    check_stopped(process, signal.SIGTERM, left_behind)


def test_a_signal_that_the_caller_ignores_stays_ignored(
    start: Start, bundle: Path, pictures: dict[str, Path]
) -> None:
    # As `nohup` does.
    process = start(
        *("run", bundle, pictures["red"]),
        env={**os.environ, "FAKES_PAUSE": "run"},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for_pause(process)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired, match=r"timed out after 0\.5 seconds"):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr.splitlines()[-1]) == (143, "edgeprep: stopped by SIGTERM")


def swallowing(moment: str, number: signal.Signals, *, as_error: bool) -> dict[str, Any]:
    """Options of a process in which a library gets a signal and makes nothing or an error of it."""
    given = {"FAKES_SWALLOW": moment, "FAKES_SIGNAL": number.name}
    more = {"FAKES_SWALLOW_AS": "ImportError"} if as_error else {}
    return {"env": {**os.environ, **given, **more}, "preexec_fn": with_signals}


@pytest.mark.parametrize("as_error", [False, True], ids=["swallowed", "made an ImportError"])
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("model", signal.SIGINT),
        ("data", signal.SIGTERM),
        ("export", signal.SIGTERM),
        ("run", signal.SIGINT),
    ],
)
def test_a_signal_that_a_library_swallows_stops_a_conversion_all_the_same(
    spawn: Run,
    project: Project,
    left_behind: Run,
    moment: str,
    number: signal.Signals,
    as_error: bool,
) -> None:
    Path("out.edgeprep").write_bytes(b"old")
    words = ("convert", project(), "-o", "out.edgeprep", "--overwrite", "-q")
    ended = spawn(*words, **swallowing(moment, number, as_error=as_error))
    assert (ended.code, ended.stdout) == (128 + number, "")
    (line,) = {*ended.stderr.splitlines()} - NOISE
    assert line == f"edgeprep: stopped by {number.name}"
    assert left_behind() == ["out.edgeprep"]
    assert Path("out.edgeprep").read_bytes() == b"old"


def test_no_step_succeeds_after_a_signal(spawn: Run, project: Project) -> None:
    options = swallowing("export", signal.SIGINT, as_error=False)
    ended = spawn("convert", project(), "-o", "out.edgeprep", **options)
    *_, step, end = (line for line in ended.stderr.splitlines() if line not in NOISE)
    assert step.startswith("✗ fake-fp32: interrupted (")
    assert end == "edgeprep: stopped by SIGINT"
    assert not Path("out.edgeprep").exists()


@pytest.mark.parametrize("as_error", [False, True], ids=["swallowed", "made an ImportError"])
@pytest.mark.parametrize("words", [("run", "PICTURE"), ("benchmark",)], ids=["run", "benchmark"])
def test_a_signal_that_an_engine_swallows_stops_every_command(
    spawn: Run, bundle: Path, pictures: dict[str, Path], words: tuple[str, ...], as_error: bool
) -> None:
    command, *rest = words
    given = [str(pictures["red"]) for _ in rest]
    options = swallowing("run", signal.SIGTERM, as_error=as_error)
    ended = spawn(command, bundle, *given, **options)
    assert (ended.code, ended.stdout) == (143, "")
    assert {*ended.stderr.splitlines()} - NOISE == {"edgeprep: stopped by SIGTERM"}


FINALIZER = """
import os, signal
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
from edgeprep.cli import main, plugins
def command(**words):
    Closing()
    print("went on")
plugins.command.callback = command
main(["plugins"])
"""


def test_a_signal_in_a_finalizer_leaves_no_traceback() -> None:
    # Python prints what a finalizer raises, and goes on.
    program = [sys.executable, "-c", FINALIZER]
    ended = subprocess.run(
        program, capture_output=True, text=True, check=False, preexec_fn=with_signals
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "went on\nedgeprep: stopped by SIGINT\n"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("KeyboardInterrupt", "KeyboardInterrupt (model.py:19)"),
        ("KeyboardInterrupt('by hand')", "KeyboardInterrupt: by hand (model.py:19)"),
    ],
)
def test_an_interrupt_that_no_signal_caused_is_told_with_its_place(
    edgeprep: Run, project: Project, left_behind: Run, raised: str, told: str
) -> None:
    recipe = project()
    model = recipe.parent / "model.py"
    model.write_text(model.read_text().replace("return Net()", f"raise {raised}"))
    ended = edgeprep("convert", recipe, "-o", "out.edgeprep", "-q")
    assert (ended.code, ended.stdout) == (130, "")
    assert ended.stderr.split() == f"edgeprep: interrupted by {told}".split()
    assert left_behind() == []


def test_a_full_disk_is_an_error_and_leaves_the_old_output(
    spawn: Run, project: Project, left_behind: Callable[[], list[str]]
) -> None:
    Path("out.edgeprep").write_bytes(b"old")
    limit = 4864  # bytes, below those of the bundle and above what the steps before it write

    def full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = ("convert", project(), "-o", "out.edgeprep", "--overwrite")
    ended = spawn(*words, preexec_fn=full_disk, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith(
        "edgeprep: out.edgeprep: must be a file that can be written, got 'File too large'; needs "
    )
    assert left_behind() == ["out.edgeprep"]
    assert Path("out.edgeprep").read_bytes() == b"old"
