"""Engines in forks of this process: they are never freed there."""

import os
from typing import Any
from weakref import WeakSet

from edgeprep.interfaces import Runner

__all__ = ["keep_in_forks"]

_runners: WeakSet[Runner] = WeakSet()
_kept: list[Any] = []


def keep_in_forks(runner: Runner) -> None:
    """Let forks of this process end, whatever they do with `runner`.

    An engine waits for its threads when it is freed, and in a fork there are none: OpenVINO's waits
    for ever, also where it is freed as the program ends.
    """
    _runners.add(runner)


def _keep() -> None:
    """Give what this fork was born with an owner that never lets go."""
    _kept.extend(_runners)
    if not _kept:
        return
    try:
        # Here, as few processes fork: it takes long to import.
        import ctypes
    except ImportError:  # then the end of the program may free them all the same
        return
    for runner in _kept:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep)
