"""How tasks are scored, with the reference libraries."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics.agreement import RELATIVE_ERROR, TOP1_AGREEMENT, agreement_for
from edgeprep.metrics.metric import Metric
from edgeprep.schema import nearest

__all__ = ["RELATIVE_ERROR", "TOP1_AGREEMENT", "Metric", "agreement_for", "metric_for"]

# Where each metric lives; its reference library is imported when it is asked for.
_HOME: Mapping[str, tuple[str, str]] = {"accuracy": ("edgeprep.metrics.accuracy", "ACCURACY")}


def metric_for(task: Task, name: str, where: str = "budget.metric") -> Metric:
    """The metric `name`, which scores decoded results of `task` against labels.

    Raises:
        RecipeError: the task cannot be scored so; the message starts with `where`.
    """
    if name not in task.metrics:
        known = ", ".join(map(repr, task.metrics)) or "nothing"
        remedy = nearest(name, task.metrics) or f"; it can be scored by {known}"
        raise RecipeError(f"{where}: must be a metric of task {task.name!r}, got {name!r}{remedy}")
    module, attribute = _HOME[name]
    metric: Metric = getattr(import_module(module), attribute)
    return metric
