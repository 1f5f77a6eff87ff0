"""Backends in processes of their own: what kills or stops them there, leaves this process alone."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeprep.workers.backend import IsolatedBackend
    from edgeprep.workers.limits import Limits
    from edgeprep.workers.origin import find_origin, why_no_worker
    from edgeprep.workers.runner import WorkerRunner

__all__ = ["IsolatedBackend", "Limits", "WorkerRunner", "find_origin", "why_no_worker"]

# Imported when first used: most programs open a bundle again, which needs no worker.
_HOME = {
    "IsolatedBackend": "edgeprep.workers.backend",
    "Limits": "edgeprep.workers.limits",
    "WorkerRunner": "edgeprep.workers.runner",
    "find_origin": "edgeprep.workers.origin",
    "why_no_worker": "edgeprep.workers.origin",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgeprep.workers' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
