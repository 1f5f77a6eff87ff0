"""The built-in tasks, offered through the same hook as those of plugins."""

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Task
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.tensors import Tensors

__all__ = ["edgeprep_tasks"]


@hookimpl
def edgeprep_tasks() -> list[type[Task]]:
    """Every built-in task."""
    return [Classify, Tensors]
