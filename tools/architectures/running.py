"""Cells, each in a process of its own, with a limit of time and of memory."""

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from architectures.cell import measure
from architectures.networks import Network

__all__ = ["is_kept", "run_cell"]

# Imported once, in the process that the others are forked from: they take longer than most cells.
_KNOWN = ["architectures.cell", "transformers", "edgeprep.conversion", "torch"]


def is_kept(result: Path, stamp: Mapping[str, Any]) -> bool:
    """Whether `result` is of this `stamp`, which is beside it as `.stamp`.

    Limits count for a process alone that did not come back: with others it might.
    """
    beside = result.with_suffix(".stamp")
    if not result.is_file() or not beside.is_file():
        return False
    found = json.loads(result.read_text(encoding="utf-8"))
    known = json.loads(beside.read_text(encoding="utf-8"))
    if found["fp32"].get("stage") not in ("time", "crash"):
        known, stamp = ({**one, "limits": None} for one in (known, stamp))
    return bool(known == stamp)


def run_cell(
    network: Network,
    target: str,
    result: Path,
    *,
    seconds: float,
    gigabytes: float,
    work: Callable[[Network, str], dict[str, Any]] = measure,
) -> dict[str, Any]:
    """What `work` finds, which is kept in `result`; what the process says is beside it, as `.log`.

    Args:
        network: which.
        target: in which format.
        result: a JSON file.
        seconds: after which the process is killed.
        gigabytes: of address space that the process may have.
        work: what the process does.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(_KNOWN)
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    inside = (work, network, target, result, gigabytes)
    process = context.Process(target=_inside, args=inside, daemon=True)
    process.start()
    process.join(seconds)
    ended = process.exitcode is not None
    if not ended:
        process.kill()
        process.join()
    if result.is_file():
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found
    reason = (
        f"the process must end by itself, got {_how(process.exitcode)}"
        if ended
        else f"must be done in {seconds:g} s, got no end"
    )
    fault = {"stage": "crash" if ended else "time", "operator": "", "reason": reason, "road": ""}
    found = {"fp32": fault}
    _write(found, result)
    return found


def _how(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"


def _inside(
    work: Callable[[Network, str], dict[str, Any]],
    network: Network,
    target: str,
    result: Path,
    gigabytes: float,
) -> None:
    with result.with_suffix(".log").open("wb") as log:
        # What converters write, some of it not by Python.
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _write(work(network, target), result)
    sys.stdout.flush()


def _write(found: dict[str, Any], result: Path) -> None:
    half = result.with_suffix(".half")
    half.write_text(json.dumps(found, indent=1), encoding="utf-8")
    half.replace(result)
