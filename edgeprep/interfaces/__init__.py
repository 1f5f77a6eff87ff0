"""What a plugin offers: stages, passes, exporters, backends and tasks; and what they exchange.

Every class here is implemented by plugins and called by edgeprep. Each names itself with class
attributes, so that listing never constructs anything. Stages, passes, exporters and tasks are
frozen dataclasses whose fields are the keys of their table in a recipe.
"""

from edgeprep.interfaces.blending import Blending, BlendKind
from edgeprep.interfaces.compared import Compared
from edgeprep.interfaces.compression import Need, Objective, Pass, Reading, Workbench
from edgeprep.interfaces.conversion import Exporter, Feeds, Source
from edgeprep.interfaces.engines import (
    CALIBRATED,
    Absent,
    Backend,
    Device,
    DeviceKind,
    Model,
    Options,
    Placement,
    Precision,
    Runner,
    Width,
)
from edgeprep.interfaces.primitives import Network, Primitives
from edgeprep.interfaces.quantization import (
    Calibrator,
    Quantization,
    RangeCoverage,
    RangeUse,
    WeightRange,
)
from edgeprep.interfaces.stages import FileStage, RandomStage, Stage, StreamStage
from edgeprep.interfaces.task import Result, Task, Tiling

__all__ = [
    "CALIBRATED",
    "Absent",
    "Backend",
    "BlendKind",
    "Blending",
    "Calibrator",
    "Compared",
    "Device",
    "DeviceKind",
    "Exporter",
    "Feeds",
    "FileStage",
    "Model",
    "Need",
    "Network",
    "Objective",
    "Options",
    "Pass",
    "Placement",
    "Precision",
    "Primitives",
    "Quantization",
    "RandomStage",
    "RangeCoverage",
    "RangeUse",
    "Reading",
    "Result",
    "Runner",
    "Source",
    "Stage",
    "StreamStage",
    "Task",
    "Tiling",
    "WeightRange",
    "Width",
    "Workbench",
]
