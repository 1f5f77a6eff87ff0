"""How tasks are scored, with the reference libraries."""

import re
from collections.abc import Mapping
from importlib import import_module

from edgeprep.errors import PluginError, RecipeError
from edgeprep.interfaces import Task
from edgeprep.metrics.agreement import TOP1_AGREEMENT, agreement_for
from edgeprep.metrics.metric import Measure, Metric
from edgeprep.metrics.top_k import top_k
from edgeprep.schema import nearest, show

__all__ = [
    "TOP1_AGREEMENT",
    "Measure",
    "Metric",
    "agreement_for",
    "check_metrics",
    "metric_for",
    "metrics_of",
    "table_of",
]

# Where each metric lives; its reference library is imported when it is asked for. Any other top-k
# is made when it is asked for.
_HOME: Mapping[str, tuple[str, str]] = {
    "accuracy": ("edgeprep.metrics.accuracy", "ACCURACY"),
    "precision-macro": ("edgeprep.metrics.averages", "PRECISION_MACRO"),
    "precision-micro": ("edgeprep.metrics.averages", "PRECISION_MICRO"),
    "recall-macro": ("edgeprep.metrics.averages", "RECALL_MACRO"),
    "recall-micro": ("edgeprep.metrics.averages", "RECALL_MICRO"),
    "f1-macro": ("edgeprep.metrics.averages", "F1_MACRO"),
    "f1-micro": ("edgeprep.metrics.averages", "F1_MICRO"),
    "roc-auc": ("edgeprep.metrics.roc_auc", "ROC_AUC"),
    "calibration-error": ("edgeprep.metrics.calibration_error", "CALIBRATION_ERROR"),
    "average-precision": ("edgeprep.metrics.presence", "AVERAGE_PRECISION"),
    "label-f1-macro": ("edgeprep.metrics.presence", "LABEL_F1_MACRO"),
    "label-f1-micro": ("edgeprep.metrics.presence", "LABEL_F1_MICRO"),
    "subset-accuracy": ("edgeprep.metrics.presence", "SUBSET_ACCURACY"),
    "map": ("edgeprep.metrics.boxes", "MAP"),
    "ap50": ("edgeprep.metrics.boxes", "AP50"),
    "ap75": ("edgeprep.metrics.boxes", "AP75"),
    "mean-iou": ("edgeprep.metrics.pixels", "MEAN_IOU"),
    "pixel-accuracy": ("edgeprep.metrics.pixels", "PIXEL_ACCURACY"),
    "dice": ("edgeprep.metrics.pixels", "DICE"),
    "psnr": ("edgeprep.metrics.pictures", "PSNR"),
    "ssim": ("edgeprep.metrics.pictures", "SSIM"),
    "mean-absolute-error": ("edgeprep.metrics.maps", "MEAN_ABSOLUTE_ERROR"),
    "root-mean-square-error": ("edgeprep.metrics.maps", "ROOT_MEAN_SQUARE_ERROR"),
    "delta-1": ("edgeprep.metrics.maps", "DELTA_1"),
    "recall-at-1": ("edgeprep.metrics.neighbours", "RECALL_AT_1"),
    "recall-at-5": ("edgeprep.metrics.neighbours", "RECALL_AT_5"),
}
_FEWEST = "top-2"  # top-1 is accuracy
_TOP_K = re.compile(r"top-([0-9]{1,9})")


def metric_for(task: Task, name: str, where: str = "budget.metric") -> Metric:
    """The metric `name`, which scores decoded results of `task` against labels.

    Args:
        task: says by its `metrics` how it can be scored; one "top-5" there stands for any "top-3".
        name: such as "accuracy".
        where: the place that names it, for messages.

    Raises:
        RecipeError: the task cannot be scored so; the message starts with `where`.
        PluginError: the task names a metric that there is not.
    """
    any_k = any(map(_TOP_K.fullmatch, task.metrics))
    if found := _TOP_K.fullmatch(name) if any_k else None:
        return top_k(_check_k(task, name, int(found[1]), where))
    if name not in task.metrics:
        rule = f"must be a metric of task {task.name!r}"
        raise RecipeError(f"{where}: {rule}, got {show(name)}{_remedy(task, name)}")
    if name not in _HOME:
        raise _unknown(task, name)
    module, attribute = _HOME[name]
    metric: Metric = getattr(import_module(module), attribute)
    return metric


def check_metrics(task: Task) -> None:
    """Refuse a task of which a metric is not there; no reference library is imported.

    Raises:
        PluginError: it names such a one.
    """
    for name in task.metrics:
        if name not in _HOME and not _TOP_K.fullmatch(name):
            raise _unknown(task, name)


def _unknown(task: Task, name: str) -> PluginError:
    known = ", ".join(map(repr, _HOME))
    return PluginError(f"task {task.name!r}: metrics must be among {known}, got {name!r}")


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """All metrics of `task`; where few classes make its top-k 1, top-2, unless that is 1, too."""
    names = [_FEWEST if _is_always_1(task, name) else name for name in task.metrics]
    return tuple(
        metric_for(task, name) for name in dict.fromkeys(names) if not _is_always_1(task, name)
    )


def table_of(task: Task) -> Measure | None:
    """What a table of the classes of `task` is made of; None where results name no classes."""
    measures = (metric.shared[0] for metric in metrics_of(task) if metric.shared)
    return next((measure for measure in measures if measure.per_class), None)


def _remedy(task: Task, name: str) -> str:
    """What a wrong `name` may have meant, or what there is; of top-k one that says something."""
    most = (_classes(task) or 0) - 1
    known = [f"top-{most}" if _is_always_1(task, one) else one for one in task.metrics]
    if family := [one for one in known if one.startswith(f"{name}-")]:
        return f"; did you mean {' or '.join(map(repr, family))}?"
    listing = ", ".join(map(repr, known)) or "nothing"
    return nearest(name, known) or f"; it can be scored by {listing}"


def _is_always_1(task: Task, name: str) -> bool:
    found = _TOP_K.fullmatch(name)
    classes = _classes(task)
    return found is not None and classes is not None and int(found[1]) >= classes


def _check_k(task: Task, name: str, k: int, where: str) -> int:
    if k < 1:
        raise RecipeError(f"{where}: k must be at least 1, got {name!r}")
    if _is_always_1(task, name):
        rule = f"k must be below the number of classes, which is {_classes(task)}"
        raise RecipeError(f"{where}: {rule}, got {name!r}; that is 1 whatever is predicted")
    return k


def _classes(task: Task) -> int | None:
    labels = getattr(task, "labels", None)
    return None if labels is None else len(labels)
