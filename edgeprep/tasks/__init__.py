"""What the outputs of a network mean, in numpy; a module for each task.

Here are the results that sessions give, for the annotations of applications. Each is imported when
it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeprep.tasks.classify import Classification, Label
    from edgeprep.tasks.depth import DepthMap
    from edgeprep.tasks.detections import Detection, Detections
    from edgeprep.tasks.embed import Embedding
    from edgeprep.tasks.multilabel import MultiLabels
    from edgeprep.tasks.restore import Restoration
    from edgeprep.tasks.segment import Segmentation
    from edgeprep.tasks.tensors import RawTensors

__all__ = [
    "Classification",
    "DepthMap",
    "Detection",
    "Detections",
    "Embedding",
    "Label",
    "MultiLabels",
    "RawTensors",
    "Restoration",
    "Segmentation",
]

_HOME = {
    "Classification": "classify",
    "DepthMap": "depth",
    "Detection": "detections",
    "Detections": "detections",
    "Embedding": "embed",
    "Label": "classify",
    "MultiLabels": "multilabel",
    "RawTensors": "tensors",
    "Restoration": "restore",
    "Segmentation": "segment",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgeprep.tasks' has no attribute {name!r}")
    return getattr(import_module(f"edgeprep.tasks.{_HOME[name]}"), name)
