"""Backends in plain Python that fail as engines do: where and how their model says.

A model is JSON: a fault for "load", "run", "close", and at which run, counted from 0, it comes;
for "load_at_home", where it is not in a worker; for "load_if_set", the environment variable that
holds one. "wrong" is a factor, "slow" in seconds, with "turns" one run after another, "hold" and
"leak", of each run, in megabytes, and "trace" notes which process runs.
What is committed before there is a model comes from the environment, which workers inherit.
"""

import builtins
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from channel_means import IMAGE, LOGITS, channel_means
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError
from edgeprep.interfaces import Backend, Device, Model, Options, Precision, Runner

MEGABYTE = 2**20


def model_of(**faults: Any) -> Model:
    """A model that commits `faults`."""
    return Model(format="fake", files={"model.fake": json.dumps(faults).encode()})


def commit(fault: str) -> None:
    """Do what `fault` says; nothing where it is empty."""
    match fault.partition(":")[::2]:
        case "", _:
            return
        case "signal", name:
            signal.raise_signal(signal.Signals[name])
        case "null", _:
            ctypes.memset(0, 1, 1)
        case "exit", status:
            os.write(2, b"a warning\nout of tape\n")
            os._exit(int(status))
        case "hang", "releasing":
            time.sleep(600)
        case "hang", "holding":
            ctypes.PyDLL(None).sleep(600)  # PyDLL, unlike CDLL, keeps the interpreter's lock
        case "raise", name:
            raise getattr(builtins, name)("device lost")
        case "no room", library:  # as the loader of libraries says it
            raise ImportError(f"{library}: failed to map segment from shared object")
        case "eat", gigabytes:
            held = [bytearray(int(float(gigabytes) * 2**30))]
            held.clear()
        case "wait", path:  # until there is such a file
            while not Path(path).exists():
                time.sleep(0.01)
        case "stay", path:  # for good, and tell that it got there
            Path(path).touch()
            time.sleep(600)
        case "print", megabytes:
            for file in (1, 2):
                for _ in range(int(megabytes)):
                    os.write(file, b"W" * (MEGABYTE - 1) + b"\n")
        case "disturb", _:
            disturb()
        case "start", path:
            # As shader compilers are, with whatever is open here and may be handed on.
            program = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False
            )
            Path(path).write_text(str(program.pid), encoding="ascii")
        case other, _:
            raise AssertionError(f"no such fault: {other!r}")


def commit_at_load(faults: Mapping[str, Any]) -> None:
    """Do what `faults` say of loading."""
    commit(faults.get("load", ""))
    commit(os.environ.get(faults.get("load_if_set", ""), ""))
    if "edgeprep.workers.child" not in sys.modules:
        commit(faults.get("load_at_home", ""))


def disturb() -> None:
    """All that an engine's library should not do to the process that it is loaded in."""
    import locale

    os.close(1)
    os.close(2)
    os.chdir("/")
    os.umask(0o777)
    os.environ["DISTURBED"] = "1"
    locale.setlocale(locale.LC_ALL, "C")
    np.seterr(all="ignore")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.setrecursionlimit(100)


class FaultyRunner(Runner):
    """The mean of each channel, and a fault."""

    inputs = (IMAGE,)
    outputs = (LOGITS,)

    def __init__(self, faults: Mapping[str, Any]) -> None:
        self._faults = faults
        self._calls = count()
        # Of ones, as the system gives pages of zeros away for nothing.
        self._held = np.ones(int(faults.get("hold", 0)) * MEGABYTE, np.uint8)
        self._leaked: list[NDArray[np.uint8]] = []
        self._turns = Lock() if faults.get("turns") else nullcontext()
        self._is_closed = False

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        if self._is_closed:
            raise ClosedError("runner: must be open, got a call after close()")
        if next(self._calls) >= self._faults.get("at", 0):
            commit(self._faults.get("run", ""))
        if "trace" in self._faults:
            with Path(os.environ["TRACE"]).open("a", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
        if megabytes := self._faults.get("leak", 0):
            self._leaked.append(np.ones(megabytes * MEGABYTE, np.uint8))
        with self._turns:
            time.sleep(self._faults.get("slow", 0.0))
        return (channel_means(inputs[0]) * np.float32(self._faults.get("wrong", 1.0)),)

    def compiled(self) -> bytes | None:
        return b"compiled " + json.dumps(self._faults).encode()

    def close(self) -> None:
        self._is_closed = True
        commit(self._faults.get("close", ""))


class Faulty(Backend):
    """Imports a library, which may fail, and loads models, which may fail."""

    name = "faulty"
    formats = ("fake",)
    install = "edgeprep-faulty[runtime]"

    def __init__(self) -> None:
        import faulty_library  # noqa: F401 -- what it does is what counts

    def devices(self) -> tuple[Device, ...]:
        commit(os.environ.get("FAULT_AT_DEVICES", ""))
        return (Device(name="cpu", kind="cpu"), Device(name="second", kind="npu"))

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        return ({"threads": 1}, {"threads": 2, "waiting": "spin"})

    def refuse(self, device: Device, precision: Precision, weight_range: str) -> str | None:
        return None if device.kind == "cpu" else f"no {precision} with {weight_range} weights"

    def load(self, model: Model, device: Device, options: Options) -> Runner:
        faults = json.loads(model.files["model.fake"])
        commit_at_load(faults)
        return FaultyRunner(faults)

    def compiled_for(self, device: Device) -> str | None:
        return f"{device.name} 1"

    def load_compiled(
        self, compiled: bytes, model: Model, device: Device, options: Options
    ) -> Runner:
        faults = json.loads(model.files["model.fake"])
        commit_at_load(faults)
        runner = FaultyRunner(faults)
        if runner.compiled() != compiled:
            raise BackendError(f"faulty: must be its own compiled form, got {compiled!r}")
        return runner

    def versions(self) -> Mapping[str, str]:
        return {"faulty": "1", "process": str(os.getpid())}


def local_class() -> type[Backend]:
    """A class that no other process can import by name."""

    class Local(Faulty):
        name = "local"

    return Local
