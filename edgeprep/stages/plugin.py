"""The built-in stages, offered through the same hook as those of plugins."""

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Stage
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale

__all__ = ["edgeprep_stages"]


@hookimpl
def edgeprep_stages() -> list[type[Stage]]:
    """Every built-in stage."""
    return [Resize, CenterCrop, Pad, Color, Normalize, Scale, DType, Layout]
