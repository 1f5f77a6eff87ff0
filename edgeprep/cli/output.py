"""Results go to stdout; everything else, whoever prints it, goes to stderr."""

import json
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

import click

from edgeprep.cli.stopping import check_stopped
from edgeprep.errors import BudgetError, StorageError

__all__ = [
    "as_json",
    "complain",
    "emit",
    "failures_too",
    "format_option",
    "keep_standard_streams",
    "one_line",
    "results_only",
]

_STDOUT, _STDERR = 1, 2
# What moves a terminal's cursor, or ends a line for some reader; names of files may hold it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_results: TextIO | None = None

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Tables for people, or one JSON document.",
)


def keep_standard_streams() -> None:
    """Put the null device wherever stdin, stdout or stderr was closed by the caller.

    Otherwise the next file that is opened takes the number, and what an engine prints goes into it.
    """
    for descriptor in (0, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one: those below it are open by now.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


@contextmanager
def results_only() -> Iterator[None]:
    """Inside, only `emit` reaches stdout.

    Engines and converters print from C++ as well, so that the file descriptor itself is moved.

    Raises:
        StorageError: stdout is closed.
    """
    global _results
    if sys.stdout is None:
        raise StorageError(
            "stdout: must be open, got a closed one; send it to /dev/null to do without results"
        )
    stdout, before = sys.stdout, _results
    stdout.flush()
    kept = os.dup(_STDOUT)
    results = _same_text(stdout, kept) if _descriptor(stdout) == _STDOUT else stdout
    _results = results
    os.dup2(_STDERR, _STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results = before
        stdout.flush()
        _flush_c()
        os.dup2(kept, _STDOUT)
        # What could not be written has been reported by `emit`.
        with suppress(OSError):
            if results is not stdout:
                results.close()
        os.close(kept)


def emit(text: str, document: Mapping[str, Any], form: str) -> None:
    """Print a result: `text` for people, or `document` with its `schema_version`.

    JSON is in ASCII, with null for numbers that are not finite, so that any reader takes it.

    Raises:
        StorageError: stdout cannot take it, as when a disk is full.
        BrokenPipeError: nobody reads stdout any more.
        Stopped: a signal came, and a library swallowed it.
    """
    check_stopped()
    if form == "json":
        text = json.dumps({"schema_version": 1, **as_json(document)}, allow_nan=False)
    stream = sys.stdout if _results is None else _results
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"stdout: must take the result, got {error.strerror!r}") from error


@contextmanager
def failures_too(form: str) -> Iterator[None]:
    """Inside, a budget that cannot be kept is a result, too, for those who read JSON."""
    try:
        yield
    except BudgetError as error:
        if form == "json":
            emit("", {"error": str(error), **error.reached}, form)
        raise


def complain(message: object) -> None:
    """Print to stderr what went wrong: a line, or several where a message is a list."""
    lines = map(one_line, str(message).split("\n  "))
    click.echo("\n  ".join(["edgeprep: " + next(lines), *lines]), err=True)


def as_json(value: Any) -> Any:
    """`value` as JSON can have it, with None for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def one_line(text: str) -> str:
    r"""`text` with line ends and other control characters escaped, as in `a\nb.png`."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        # No file, as under a test runner: then only Python can print to it.
        return None


def _same_text(stream: TextIO, descriptor: int) -> TextIO:
    # Names of files may hold bytes that are no text, and a terminal may lack a label's letters.
    return open(
        descriptor,
        "w",
        encoding=stream.encoding,
        errors="backslashreplace",
        closefd=False,
    )


def _flush_c() -> None:
    """Let out what engines have printed and C holds back: at exit it would come out on stdout."""
    if os.name == "posix":
        # Here and not above, so that `--help` does without.
        import ctypes

        ctypes.CDLL(None).fflush(None)
