"""How often forks and ends of programs with a live session, and many opens at once, go well.

python tools/benchmarks/lifetimes.py forks|ends|imports BUNDLE PREFER ROUNDS    prints "N of ROUNDS"
"""

import gc
import os
import signal
import subprocess
import sys
from itertools import cycle, islice
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeprep
from edgeprep.errors import ClosedError, ForkedRunnerError
from edgeprep.runtime import Session

__all__ = ["measure"]

MODEL = "digits-mobilenet"
ENGINES = {"onnxruntime": "onnx-fp32", "openvino": "openvino-fp32", "litert": "tflite-fp32"}
ROUNDS = {"forks": 100, "ends": 200, "imports": 100}
# What begins with nothing loaded: all threads import the package, and the engine, at once.
THREADS = 32
IMPORTS = """
import sys
import threading
barrier, labels = threading.Barrier({threads}), []
def work():
    barrier.wait()
    import edgeprep
    with edgeprep.open(sys.argv[1], prefer=sys.argv[2], probe=False) as session:
        import numpy
        labels.append(session(numpy.zeros((48, 40, 3), numpy.uint8)).label)
threads = [threading.Thread(target=work) for _ in range({threads})]
[each.start() for each in threads]
[each.join() for each in threads]
sys.exit(len(labels) != {threads} or len(set(labels)) != 1)
"""
LIMIT_S = 3.0
PICTURE: NDArray[np.uint8] = np.zeros((48, 40, 3), np.uint8)
# What holds a session as the program ends, or drops it.
WAYS = ("in use", "closed while in use", "open", "closed", "in a cycle", "streaming")


def measure() -> Any:
    """For each engine, forks and ends of the program that are as they should be."""
    from benchmarks.bundles import bundle
    from benchmarks.figures import Figure, Report

    path, figures = str(bundle(MODEL)), []
    for engine, variant in ENGINES.items():
        for what, rounds in ROUNDS.items():
            if what == "imports" and engine != "onnxruntime":  # it is the same for all
                continue
            command = [sys.executable, __file__, what, path, variant, str(rounds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            good = int(done.stdout.partition(" ")[0] or 0)
            name = f"{what} with {engine} that go well"
            figures.append(Figure(name=name, value=good, limit=rounds, rule="at least"))
    return Report(
        title="lifetimes: forks, ends of the program, and 32 threads that import and open",
        figures=tuple(figures),
    )


def forks(path: str, prefer: str, rounds: int) -> int:
    """How many forks of this process, which has a live session, end as they should."""
    session = edgeprep.open(path, prefer=prefer, probe=False)
    session(PICTURE)
    good = 0
    for number in range(rounds):
        child = os.fork()
        if child == 0:
            use_in_fork(session, number)
            sys.exit(0)
        good += ends(child)
        session(PICTURE)
    return good


def use_in_fork(session: Session, number: int) -> None:
    """Whatever is asked of it is refused at once; it may be closed, and dropped."""
    for ask in (lambda: session(PICTURE), session.health):
        try:
            ask()
        except ForkedRunnerError:
            continue
        os._exit(3)
    if number % 2:
        session.close()
    gc.collect()


def ends(child: int) -> bool:
    """Whether the process ends well, and in time."""
    end = monotonic() + LIMIT_S
    while monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status == 0
        sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def programs(path: str, prefer: str, rounds: int) -> int:
    """How many programs end as they should, with a session in each of `WAYS`."""
    good = 0
    for way in islice(cycle(WAYS), rounds):
        command = [sys.executable, __file__, "one", path, prefer, way]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        # One that has not come to its end says nothing.
        end_began_s = float(done.stdout or "-inf")
        is_good = not done.returncode and "terminate called" not in done.stderr
        good += is_good and monotonic() - end_began_s <= LIMIT_S
    return good


def imports(path: str, prefer: str, rounds: int) -> int:
    """How many programs of many threads, which all import and open at once, get their answers."""
    script = IMPORTS.format(threads=THREADS)
    command = [sys.executable, "-c", script, path, prefer]
    return sum(subprocess.run(command, timeout=60).returncode == 0 for _ in range(rounds))


def one(path: str, prefer: str, way: str) -> None:
    """A program whose end comes while its session is in a state that `way` names."""
    session = edgeprep.open(path, prefer=prefer, probe=False)
    session(PICTURE)
    if "in use" in way:
        for _ in range(3):
            Thread(target=use, args=(session,), daemon=True).start()
        sleep(0.01)
    if "closed" in way:
        session.close()
        session.close()
    if way == "streaming":
        stream = session.stream([PICTURE] * 1000, policy="every")
        next(stream)
        session.__dict__["kept"] = stream
    if way == "in a cycle":
        session.__dict__["itself"] = session
        del session
        gc.collect()
    # The program ends from here on; monotonic time is that of all processes.
    print(monotonic(), flush=True)


def use(session: Session) -> None:
    """Call it for ever, or until it is closed."""
    try:
        while True:
            session(PICTURE)
    except ClosedError:
        pass


def main() -> None:
    """As the module says."""
    what, path, prefer, last = sys.argv[1:]
    if what == "one":
        one(path, prefer, last)
        return
    ways = {"forks": forks, "ends": programs, "imports": imports}
    good = ways[what](path, prefer, int(last))
    print(f"{good} of {last}")


if __name__ == "__main__":
    main()
