"""What edgeprep adds to the start of a process: its import, its help, a second open.

Opening is measured as on a device: with edgeprep, one plugin and its engine, and no other package.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.bundles import WORKSPACE, bundle
from benchmarks.bundles import edgeprep as command
from benchmarks.device import device_folder
from benchmarks.engines import BARE
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle

__all__ = ["measure"]

PLUGINS = {
    "onnxruntime": "edgeprep-onnx",
    "openvino": "edgeprep-openvino",
    "litert": "edgeprep-tflite",
}
MODEL = "digits-mobilenet"
LIMIT_IMPORT_MS, LIMIT_HELP_MS, LIMIT_OPEN_MS = 60.0, 150.0, 50.0
PAIRS = 25

# Each reads its model from a file and loads it with the same settings, and nothing else. Processes
# end at once: how long Python takes to clear up is no part of opening.
LOAD = """
import os, sys
sys.path.insert(0, {tools!r})
from benchmarks.engines import {engine}
files = {{name: open(path, "rb").read() for name, path in {files!r}.items()}}
call = {engine}(files, {threads})
os._exit(0)
"""
FIRST = """
import edgeprep
choice = edgeprep.open({path!r}).choice
print(choice.variant, choice.options["threads"])
"""
AGAIN = """
import os, edgeprep
session = edgeprep.open({path!r})
os._exit(0 if session.remembered else 1)
"""


def measure() -> Report:
    """Fresh processes in pairs, with and without edgeprep."""
    python = (sys.executable, "-c")
    figures, details = [], {}
    for ours in ("import edgeprep", "from edgeprep import open, Session"):
        added, base = pairs([*python, "import numpy"], [*python, f"import numpy; {ours}"])
        name = f"{ours}, over numpy"
        figures.append(Figure(name=name, value=added, limit=LIMIT_IMPORT_MS, unit="ms"))
        details[ours] = {"added_ms": added, "bare_ms": base}
    taken = median(run([*command(), "--help"]) for _ in range(PAIRS))
    figures.append(Figure(name="edgeprep --help", value=taken, limit=LIMIT_HELP_MS, unit="ms"))
    with TemporaryDirectory() as cache:
        os.environ["EDGEPREP_CACHE"] = cache
        for engine in BARE:
            os.environ["PYTHONPATH"] = str(device_folder(PLUGINS[engine]))
            alone = (sys.executable, "-S", "-c")  # without the packages of this environment
            bare, ours = programs(engine, alone)
            added, base = pairs([*alone, bare], [*alone, ours])
            name = f"second open on {engine}, over loading it bare"
            figures.append(Figure(name=name, value=added, limit=LIMIT_OPEN_MS, unit="ms"))
            details[engine] = {"added_ms": added, "bare_ms": base}
    return Report(
        title="startup: fresh processes",
        figures=tuple(figures),
        notes=tuple(f"{name}: {found['bare_ms']:.0f} ms bare" for name, found in details.items()),
        details=details,
    )


def programs(engine: str, python: Sequence[str]) -> tuple[str, str]:
    """What loads the bare engine, and what opens the bundle by a remembered choice."""
    path = bundle(MODEL)
    done = subprocess.run([*python, FIRST.format(path=str(path))], stdout=subprocess.PIPE)
    variant, threads = done.stdout.decode().split()
    opened = open_bundle(path)
    files = {}
    for name, content in opened.model(opened.variant(variant)).files.items():
        file = WORKSPACE / name
        file.write_bytes(content)
        files[name] = str(file)
    tools = str(Path(__file__).parents[1])
    bare = LOAD.format(tools=tools, engine=engine, files=files, threads=int(threads))
    return bare, AGAIN.format(path=str(path))


def pairs(bare: Sequence[object], ours: Sequence[object]) -> tuple[float, float]:
    """What `ours` takes longer than `bare`, and what `bare` takes: medians, in milliseconds."""
    run(bare)
    run(ours)
    times = [(run(bare), run(ours)) for _ in range(PAIRS)]
    return median(b - a for a, b in times), median(a for a, _ in times)


def run(program: Sequence[object]) -> float:
    """Milliseconds from start to exit, with all bytecode compiled before."""
    start = perf_counter()
    done = subprocess.run(
        [str(word) for word in program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    taken = (perf_counter() - start) * 1e3
    if done.returncode:
        sys.exit(f"{program}: {done.stderr.decode()}")
    return taken
