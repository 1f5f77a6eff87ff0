"""Reports, each from a process of its own: what one leaves behind is no matter of the next."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from environment import clean_variables

from benchmarks.bundles import WORKSPACE
from benchmarks.figures import Report, describe, environment

__all__ = ["collect", "hand_over", "verdict"]


def hand_over(report: Report) -> None:
    """What the process of a report prints for `collect`, as its last line."""
    print(json.dumps({"text": str(report), **report.to_json()}))


def collect(script: str, jobs: Sequence[Sequence[str]], *, quiet: bool) -> dict[str, Any]:
    """The reports of `jobs`, printed as they come unless `quiet`, and what they were measured on.

    Args:
        script: the program, which makes one report where its first argument is `--inner`.
        jobs: the other arguments of each.
        quiet: print nothing.
    """
    facts = environment()
    found: dict[str, Any] = {"environment": describe(facts), **facts, "reports": []}
    if not quiet:
        print(found["environment"], flush=True)
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    for words in jobs:
        command = [sys.executable, script, "--inner", *words]
        done = subprocess.run(command, env=clean_variables(), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: exit status {done.returncode}")
        found["reports"].append(json.loads(done.stdout.splitlines()[-1]))
        if not quiet:
            print(f"\n{found['reports'][-1]['text']}", flush=True)
    return found


def verdict(found: dict[str, Any], *, as_json: bool) -> int:
    """Say how many figures are met, or print all as JSON; the exit status, 1 where one is not."""
    met = [figure["met"] for report in found["reports"] for figure in report["figures"]]
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print(f"\n{sum(met)} of {len(met)} figures are met")
    return 0 if all(met) else 1
