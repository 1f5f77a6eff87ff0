"""stdout carries the result and nothing else, whoever prints and whatever stdout is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]

NOISE = """
import ctypes, os, sys
import click
from edgeprep.cli import main, output
from edgeprep.cli.command import Command
from edgeprep.cli import benchmark

@click.command(cls=Command)
def noisy():
    libc = ctypes.CDLL(None)
    print("python")
    os.write(1, b"descriptor\\n")
    libc.puts(b"held back by c")
    os.system("echo child")
    output.emit("the result", {}, "text")
    print("python again")
    libc.puts(b"held back again")

benchmark.command = noisy
main(["benchmark"])
"""


def test_what_libraries_print_goes_to_stderr_and_only_the_result_to_stdout() -> None:
    command = [sys.executable, "-c", NOISE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "the result\n")
    assert sorted(ended.stderr.splitlines()) == [
        "child",
        "descriptor",
        "held back again",
        "held back by c",
        "python",
        "python again",
    ]


def test_an_engine_that_prints_leaves_json_alone(spawn: Run, bundle: Path, pictures: Any) -> None:
    ended = spawn("run", bundle, pictures["red"], "--format", "json")
    assert (ended.code, ended.stderr.splitlines()[0]) == (0, "an engine says hello")
    (line,) = ended.stdout.splitlines()
    assert json.loads(line)["schema_version"] == 1


def test_a_reader_that_leaves_ends_the_command_without_a_word(start: Start, bundle: Path) -> None:
    with start("inspect", bundle) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_full_disk_behind_stdout_is_an_error(spawn: Run, bundle: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = spawn("inspect", bundle, stdout=full)
    assert (ended.code, ended.stderr) == (
        1,
        "edgeprep: stdout: must take the result, got 'No space left on device'\n",
    )


def test_results_go_into_a_file(spawn: Run, bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with path.open("w") as file:
        ended = spawn("inspect", bundle, "--format", "json", stdout=file)
    assert (ended.code, ended.stderr) == (0, "")
    assert json.loads(path.read_text())["manifest"]["name"] == "brightest"


def closing(*descriptors: int) -> dict[str, Any]:
    """Options of a process that starts with these descriptors closed."""
    return {"preexec_fn": lambda: [os.close(number) for number in descriptors]}


def test_a_closed_stdout_is_refused_before_any_work(spawn: Run, bundle: Path) -> None:
    ended = spawn("inspect", bundle, **closing(1))
    assert (ended.code, ended.stderr) == (
        1,
        (
            "edgeprep: stdout: must be open, got a closed one; send it to /dev/null to do without "
            "results\n"
        ),
    )


def test_closed_stdin_and_stderr_do_no_harm(spawn: Run, bundle: Path, pictures: Any) -> None:
    # Whatever file is opened next would take the number 2, and get what an engine prints.
    ended = spawn("run", bundle, pictures["red"], "-o", "drawn", **closing(0, 2))
    assert ended.code == 0
    assert ended.stdout.endswith(f"{pictures['red']}  red (0.9201)\n")
    assert Path("drawn/red.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_a_terminal_lacks_are_escaped(
    spawn: Run, make_bundle: Callable[..., Path], encoding: str
) -> None:
    bundle = make_bundle("röd Ω", "green", "blue")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    text = spawn("inspect", bundle, env=environment, encoding=encoding)
    assert text.code == 0
    label = "röd Ω".encode(encoding, "backslashreplace").decode(encoding)
    assert f"labels=['{label}', 'green', 'blue']" in text.stdout
    machine = spawn("inspect", bundle, "--format", "json", env=environment)
    assert json.loads(machine.stdout)["manifest"]["task"]["labels"][0] == "röd Ω"


def test_a_file_name_that_is_no_text_is_shown_escaped(
    spawn: Run, bundle: Path, pictures: Any
) -> None:
    strange = Path(os.fsdecode(b"caf\xe9.png"))
    strange.write_bytes(pictures["green"].read_bytes())
    assert "\ncaf\\udce9.png  green (0.9201)\n" in spawn("run", bundle, strange).stdout
    document = json.loads(spawn("run", bundle, strange, "--format", "json").stdout)
    assert os.fsencode(document["results"][0]["picture"]) == b"caf\xe9.png"


def test_numbers_that_are_not_finite_are_null_in_json(edgeprep: Run) -> None:
    # JSON has no name for them; readers that insist refuse the whole document.
    from edgeprep.cli.output import as_json

    document = {"error": float("inf"), "rows": [(1.5, float("nan"))], "text": "nan"}
    assert as_json(document) == {"error": None, "rows": [[1.5, None]], "text": "nan"}
