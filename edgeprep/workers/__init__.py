"""Backends in processes of their own: what kills or stops them there, leaves this process alone.

Only what is light is imported here; a worker costs its imports when there is one.
"""

from edgeprep.workers.backend import IsolatedBackend
from edgeprep.workers.limits import Limits
from edgeprep.workers.origin import find_origin, why_no_worker
from edgeprep.workers.runner import WorkerRunner

__all__ = ["IsolatedBackend", "Limits", "WorkerRunner", "find_origin", "why_no_worker"]
