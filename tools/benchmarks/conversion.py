"""What it takes to convert the zoo's model: time, and memory of the whole process tree."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import psutil

from benchmarks.bundles import RECIPES, edgeprep
from benchmarks.figures import Figure, Report

__all__ = ["measure"]

MODEL = "digits-mobilenet"
LIMIT_S, LIMIT_GIB = 120.0, 4.0
INTERVAL_S = 0.05


def measure() -> Report:
    """Convert it once, and watch."""
    with TemporaryDirectory() as directory:
        output = Path(directory) / "out.edgeprep"
        command = [*edgeprep(), "convert", RECIPES[MODEL], "-o", output, "--quiet"]
        start = perf_counter()
        process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = watch(process)
        seconds = perf_counter() - start
        if process.returncode:
            sys.exit(f"edgeprep convert {RECIPES[MODEL]}: exit status {process.returncode}")
    return Report(
        title="convert: the zoo's model, six variants",
        figures=(
            Figure(name="wall time", value=seconds, limit=LIMIT_S, unit="s"),
            Figure(name="peak memory", value=peak / 2**30, limit=LIMIT_GIB, unit="GiB"),
        ),
        notes=("memory: resident, all processes together, looked at 20 times a second",),
    )


def watch(process: psutil.Popen) -> int:
    """The most memory that a process and its children held at once, in bytes, until it ends."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process))
        sleep(INTERVAL_S)
    return peak


def resident(process: psutil.Process) -> int:
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # it ended between being listed and being asked
    return total
