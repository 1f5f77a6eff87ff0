"""What the programs have in common that print reports: names, an environment, one process each."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from environment import WORK

__all__ = ["ENGINES", "Arguments", "at_least", "main", "options"]

ENGINES = ("onnxruntime", "openvino", "litert")

Arguments = argparse.Namespace


def options(
    doc: str | None, metavar: str, names: Sequence[str], meaning: str
) -> argparse.ArgumentParser:
    """What all of them take: any of `names`, and `--json`.

    Args:
        doc: the program's, which is its help.
        metavar: what a name is called.
        names: those that there are.
        meaning: what is done with them.
    """

    def known(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, got {name!r}")
        return name

    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", type=known, metavar=metavar, help=meaning)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that is a number, and no smaller one."""

    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return int(text)

    return number


def main(
    parser: argparse.ArgumentParser,
    measure: Callable[[str, Arguments], Any],
    jobs: Callable[[Arguments], Iterable[Sequence[str]]],
) -> int:
    """Print a report of each job, and give the exit status: 1 where a figure is not met.

    Args:
        parser: from `options`, and what else the program takes.
        measure: gives the report of one name. It, and `jobs`, may import edgeprep, for which there
            is an environment by then.
        jobs: the arguments of each report, its name first.
    """
    arguments = parser.parse_args()
    if find_spec("edgeprep") is None:
        WORK.make()
        python = WORK.program("python")
        os.execv(python, [python, *sys.argv])  # noqa: S606 -- no shell is wanted
    from benchmarks import apart

    if arguments.inner:
        (name,) = arguments.names
        apart.hand_over(measure(name, arguments))
        return 0
    found = apart.collect(sys.argv[0], list(jobs(arguments)), quiet=arguments.json)
    return apart.verdict(found, as_json=arguments.json)
