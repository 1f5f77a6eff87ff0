"""What a person sees who asks for help, or types something wrong."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeprep as package
from edgeprep.cli.exit_codes import exit_code
from edgeprep.cli.main import COMMANDS
from edgeprep.errors import (
    BackendUnavailable,
    BudgetError,
    BundleTruncated,
    CheckpointError,
    DataError,
    EdgePrepError,
    ExportError,
    ImageDecodeError,
    OutputExists,
    OutputRefused,
    ParityError,
    PreferenceError,
    RecipeError,
    StorageError,
    UnknownName,
)

Run = Callable[..., Any]


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_every_command_on_stdout(edgeprep: Run, word: str) -> None:
    ended = edgeprep(word)
    assert (ended.code, ended.stderr) == (0, "")
    width = max(map(len, COMMANDS))
    for name, (_, text) in COMMANDS.items():
        assert f"  {name:<{width}}  {text}\n" in ended.stdout
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage or recipe" in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_on_stdout_and_has_both_formats(edgeprep: Run, name: str) -> None:
    ended = edgeprep(name, "--help")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: edgeprep {name} [OPTIONS]")
    if "COMMAND [ARGS]..." in ended.stdout:
        # What a group of commands has are theirs.
        return
    assert "--format [text|json" in ended.stdout
    assert "-v, --verbose" in ended.stdout


@pytest.mark.parametrize("word", ["--version", "-v"])
def test_the_version(edgeprep: Run, word: str) -> None:
    ended = edgeprep(word)
    assert (ended.code, ended.stdout) == (0, f"edgeprep {package.__version__}\n")


def test_without_a_command_help_comes_on_stderr(edgeprep: Run) -> None:
    ended = edgeprep()
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: edgeprep [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["covnert"], "command: must be one that there is, got 'covnert'; did you mean 'convert'?"),
        (["qwertz"], "command: must be one that there is, got 'qwertz'"),
        (["--hepl"], "No such option '--hepl'. Did you mean '--help'?"),
        (["run", "x", "y", "--preffer", "cpu"], "No such option '--preffer'."),
        (["convert"], "Missing argument 'RECIPE'."),
        (["run"], "Missing argument 'BUNDLE'."),
        (["run", "x.edgeprep"], "SOURCES: must be pictures, folders or films, got none"),
        (["inspect", "x", "--format", "xml"], "'xml' is not one of 'text', 'json'."),
        (["benchmark", "x", "--rounds", "0"], "0 is not in the range 1<=x<=10000."),
        (["convert", "x", "-o", ""], "Invalid value for '-o' / '--output': must be a path, got ''"),
        (["convert", ""], "Invalid value for 'RECIPE': must be a path, got ''"),
        (["run", "x", "y", "-o", ""], "Invalid value for '-o' / '--output': must be a path, got"),
        (["run", "x", ""], "Invalid value for '[SOURCES]...': must be a path, got ''"),
        (["inspect", ""], "Invalid value for 'BUNDLE': must be a path, got ''"),
        (["plugins", "x"], "Got unexpected extra argument (x)"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_exits_2(
    edgeprep: Run, words: list[str], message: str
) -> None:
    ended = edgeprep(*words)
    assert (ended.code, ended.stdout) == (2, "")
    assert message in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError, 2),
        (OutputExists, 2),
        (OutputRefused, 2),
        (PreferenceError, 2),
        (BudgetError, 3),
        (ParityError, 4),
        (StorageError, 1),
        (ExportError, 1),
        (CheckpointError, 1),
        (DataError, 1),
        (BundleTruncated, 1),
        (ImageDecodeError, 1),
        (UnknownName, 1),
        (BackendUnavailable, 1),
    ],
)
def test_exit_codes_tell_kinds_of_errors_apart(error: type[EdgePrepError], code: int) -> None:
    assert exit_code(error("somewhere: a rule, got something")) == code


HELP = """
import sys
before = set(sys.modules)
from edgeprep.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert end.code == 0
packages = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(packages - set(sys.stdlib_module_names)))
"""


def loaded_by(*words: str) -> str:
    """The packages that a command loads beyond the standard library."""
    code = HELP.format(words=list(words))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()[-1]


def test_help_loads_click_and_nothing_else() -> None:
    assert loaded_by("--help") == "['click', 'edgeprep']"


def test_help_of_convert_loads_no_library_of_a_workstation() -> None:
    loaded = loaded_by("convert", "--help")
    assert "'msgspec'" in loaded
    for heavy in ("torch", "rich", "onnx", "PIL", "edgeprep_fakes"):
        assert f"'{heavy}'" not in loaded


def test_python_can_run_it_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeprep", "inspect", tmp_path / "none"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"edgeprep: {tmp_path}/none: must be a file that can be read, "
        "got 'No such file or directory'\n"
    )
