"""What a model adds to the memory of a process: measured in one of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError
from edgeprep.interfaces import Backend, Device, Model, Options
from edgeprep.workers.interpreter import command

__all__ = ["measure_footprint", "measure_process"]

_CALLS = 10
_TIMEOUT_S = 300
_ORDER, _INPUT = "order.json", "input-{}.npy"


def measure_footprint(
    backend: Backend, model: Model, device: Device, options: Options, feed: Sequence[NDArray[Any]]
) -> int:
    """The most memory that loading and running `model` adds to a process, resident, in bytes.

    The engine's library is imported before, and does not count. Linux only.

    Args:
        backend: the engine; its class can be imported by its name.
        model: what is loaded.
        device: where it runs.
        options: how.
        feed: all inputs of the graph.

    Raises:
        BackendError: the engine fails there, or the system does not say what a process holds.
    """
    return _measure(type(backend), model, device, options, feed, with_library=False)


def measure_process(
    cls: type[Backend],
    model: Model,
    device: Device,
    options: Options,
    feed: Sequence[NDArray[Any]],
) -> int:
    """The most memory that the engine's library, `model` and its runs add to a process, in bytes.

    Resident, above what Python, numpy and edgeprep take, which is the same for all. Linux only.

    Args:
        cls: the class of the backend. It can be imported by its name.
        model: what is loaded.
        device: where it runs.
        options: how.
        feed: all inputs of the graph.

    Raises:
        BackendError: the engine fails there, or the system does not say what a process holds.
    """
    return _measure(cls, model, device, options, feed, with_library=True)


def _measure(
    cls: type[Backend],
    model: Model,
    device: Device,
    options: Options,
    feed: Sequence[NDArray[Any]],
    *,
    with_library: bool,
) -> int:
    order = {
        "backend": [cls.__module__, cls.__qualname__],
        "device": device.name,
        "options": dict(options),
        "format": model.format,
        "files": list(model.files),
        "inputs": len(feed),
        "with_library": with_library,
    }
    with TemporaryDirectory(prefix="edgeprep-") as directory:
        for name, content in model.files.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)
        for index, array in enumerate(feed):
            np.save(os.path.join(directory, _INPUT.format(index)), array)
        with open(os.path.join(directory, _ORDER), "w", encoding="utf-8") as text:
            json.dump(order, text)
        try:
            done = subprocess.run(  # noqa: S603 -- this very Python, on a program of ours
                command(__name__, directory),
                capture_output=True,
                text=True,
                errors="replace",  # engines may print anything
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise _fault(cls.name, f"nothing in {_TIMEOUT_S} s") from error
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last.isdigit():
        raise _fault(cls.name, (done.stderr.strip() or "no output").splitlines()[-1])
    return int(last)


def main(directory: str) -> None:
    """Print how many bytes loading and running what lies in `directory` adds at the most."""
    with open(os.path.join(directory, _ORDER), encoding="utf-8") as text:
        order: Mapping[str, Any] = json.load(text)
    files = {}
    for name in order["files"]:
        with open(os.path.join(directory, name), "rb") as file:
            files[name] = file.read()
    feed = tuple(
        np.load(os.path.join(directory, _INPUT.format(index))) for index in range(order["inputs"])
    )
    before = _forget_peak() if order["with_library"] else 0
    module, name = order["backend"]
    backend: Backend = getattr(import_module(module), name)()
    device = next(one for one in backend.devices() if one.name == order["device"])
    # The peak so far is that of the imports.
    before = before or _forget_peak()
    runner = backend.load(Model(format=order["format"], files=files), device, order["options"])
    for _ in range(_CALLS):
        runner.run(feed)
    sys.stdout.write(f"\n{_peak() - before}\n")


def _forget_peak() -> int:
    """Set the most memory that was held back to what is held now, and give that."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as text:
        text.write("5")
    return _peak()


def _peak() -> int:
    """The most memory that this process has held, resident, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _fault(name: str, reason: str) -> BackendError:
    rule = "must run in a process of its own, for its memory to be measured"
    return BackendError(f"backend {name!r}: {rule}, got {reason!r}")
