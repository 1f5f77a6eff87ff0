"""Results go to stdout; everything else, whoever prints it, goes to stderr."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

__all__ = ["emit", "format_option", "results_only"]

_results: TextIO = sys.stdout

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Tables for people, or one JSON document.",
)


@contextmanager
def results_only() -> Iterator[None]:
    """Inside, only `emit` reaches stdout.

    Engines and converters print from C++ as well, so that the file descriptor itself is moved.
    """
    global _results
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        # stdout is not a file, as under a test runner: then only Python can print to it.
        _results = sys.stdout
        yield
        return
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with open(descriptor, "w", encoding="utf-8", closefd=False) as stream:
        _results = stream
        try:
            yield
        finally:
            stream.flush()
            sys.stdout.flush()
            os.dup2(descriptor, sys.stdout.fileno())
            os.close(descriptor)
            _results = sys.stdout


def emit(text: str, document: dict[str, Any], form: str) -> None:
    """Print a result: `text` for people, or `document` with its `schema_version`."""
    if form == "json":
        text = json.dumps({"schema_version": 1, **document}, ensure_ascii=False)
    _results.write(f"{text}\n")
    _results.flush()
