"""The built-in tasks: where each one is, and the hook that offers them all."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Task

__all__ = ["HOMES", "edgeprep_tasks"]

# By name, so that a device imports the one alone that its bundle uses.
HOMES: Mapping[str, str] = {
    "classify": "edgeprep.tasks.classify:Classify",
    "depth": "edgeprep.tasks.depth:Depth",
    "detect": "edgeprep.tasks.detect:Detect",
    "embed": "edgeprep.tasks.embed:Embed",
    "multilabel": "edgeprep.tasks.multilabel:MultiLabel",
    "restore": "edgeprep.tasks.restore:Restore",
    "segment": "edgeprep.tasks.segment:Segment",
    "tensors": "edgeprep.tasks.tensors:Tensors",
    "video-classify": "edgeprep.tasks.video_classify:VideoClassify",
}


@hookimpl
def edgeprep_tasks() -> list[type[Task]]:
    """Every built-in task."""
    homes = [home.partition(":") for home in HOMES.values()]
    return [getattr(import_module(module), name) for module, _, name in homes]
