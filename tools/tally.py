"""Steps of the programs that test a checkout, each with a line, its time and its result."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from xml.etree import ElementTree

from environment import ROOT, Environment, Failed, run

__all__ = ["ONE_THREAD", "OUTPUT", "Tally", "made"]

OUTPUT = ROOT / "build" / "test"
# Small networks lose more by sharing work between two cores than they gain.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class Tally:
    """Steps as they pass, and how many tests did."""

    def __init__(self) -> None:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.passed = self.failed = 0
        self._start = perf_counter()

    def step(self, title: str, action: Callable[[], str]) -> None:
        """One step: its line has the title, the seconds, and what `action` says of its result.

        Raises:
            SystemExit: it failed.
        """
        print(f"{title:<44}", end=" ", flush=True)
        start = perf_counter()
        try:
            result = action()
        except Failed as failure:
            print(f"{perf_counter() - start:6.1f} s  FAILED\n\n{failure}\n")
            self.failed = self.failed or 1
            self.close()
            sys.exit(1)
        print(f"{perf_counter() - start:6.1f} s  {result}".rstrip(), flush=True)

    def pytest(self, environment: Environment, *arguments: str | Path, **variables: str) -> str:
        """Run pytest, count its tests, and give its last line.

        Raises:
            Failed: a test failed, or pytest has left no report of them.
        """
        report = OUTPUT / f"{environment.name}.xml"
        report.unlink(missing_ok=True)
        before = self.passed
        try:
            run(
                # Not `python -m pytest`, by which the sources here would hide what is installed.
                environment.program("pytest"),
                *arguments,
                f"--junitxml={report}",
                EDGEPREP_CACHE=str(OUTPUT / "cache"),
                **ONE_THREAD,
                **variables,
            )
        finally:
            self._count(report)
        if not report.is_file():
            raise Failed(f"pytest: must leave a report, got no {report.name}")
        return ", ".join((f"{self.passed - before} passed", *figures(report)))

    def _count(self, report: Path) -> None:
        if report.is_file():
            for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314 -- pytest's own
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                self.failed += bad
                self.passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))

    def close(self) -> None:
        """The last line."""
        seconds = perf_counter() - self._start
        print(f"{self.passed} passed, {self.failed} failed in {seconds:.0f} s")


def figures(report: Path) -> list[str]:
    """What tests have measured, by `record_testsuite_property`."""
    found = ElementTree.parse(report).iter("property")  # noqa: S314 -- pytest's own
    return [f"{figure.get('name')} {figure.get('value')}" for figure in found]


def made(environment: Environment) -> str:
    """Make an environment, and say whether it had to be."""
    return "made" if environment.make() else "up to date"
