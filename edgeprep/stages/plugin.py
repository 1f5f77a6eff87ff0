"""The built-in stages: where each one is, and the hook that offers them all."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Stage

__all__ = ["HOMES", "edgeprep_stages"]

# By name and version, so that a device imports those alone that its bundle uses.
HOMES: Mapping[str, str] = {
    "resize@1": "edgeprep.stages.resize:Resize",
    "center-crop@1": "edgeprep.stages.center_crop:CenterCrop",
    "pad@1": "edgeprep.stages.pad:Pad",
    "color@1": "edgeprep.stages.color:Color",
    "frames@1": "edgeprep.stages.frames:Frames",
    "frame-difference@1": "edgeprep.stages.frame_difference:FrameDifference",
    "running-background@1": "edgeprep.stages.running_background:RunningBackground",
    "normalize@1": "edgeprep.stages.normalize:Normalize",
    "scale@1": "edgeprep.stages.scale:Scale",
    "dtype@1": "edgeprep.stages.dtype:DType",
    "layout@1": "edgeprep.stages.layout:Layout",
}


@hookimpl
def edgeprep_stages() -> list[type[Stage]]:
    """Every built-in stage."""
    homes = [home.partition(":") for home in HOMES.values()]
    return [getattr(import_module(module), name) for module, _, name in homes]
