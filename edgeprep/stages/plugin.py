"""The built-in stages: where each one is, and the hook that offers them all."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Stage

__all__ = ["HOMES", "edgeprep_stages"]

# By name and version, so that a device imports those alone that its bundle uses.
HOMES: Mapping[str, str] = {
    "resize@1": "edgeprep.stages.resize:Resize",
    "letterbox@1": "edgeprep.stages.letterbox:Letterbox",
    "center-crop@1": "edgeprep.stages.center_crop:CenterCrop",
    "crop@1": "edgeprep.stages.crop:Crop",
    "pad@1": "edgeprep.stages.pad:Pad",
    "flip@1": "edgeprep.stages.flip:Flip",
    "rotate@1": "edgeprep.stages.rotate:Rotate",
    "tile@1": "edgeprep.stages.tile:Tile",
    "color@1": "edgeprep.stages.color:Color",
    "gamma@1": "edgeprep.stages.gamma:Gamma",
    "white-balance@1": "edgeprep.stages.white_balance:WhiteBalance",
    "linear@1": "edgeprep.stages.linear:Linear",
    "srgb@1": "edgeprep.stages.srgb:Srgb",
    "model@1": "edgeprep.runtime.learned:LearnedStage",  # to the right of here, so by its name
    "frames@1": "edgeprep.stages.frames:Frames",
    "frame-difference@1": "edgeprep.stages.frame_difference:FrameDifference",
    "running-background@1": "edgeprep.stages.running_background:RunningBackground",
    "mean@1": "edgeprep.stages.mean:Mean",
    "gaussian@1": "edgeprep.stages.gaussian:Gaussian",
    "median@1": "edgeprep.stages.median:Median",
    "bilateral@1": "edgeprep.stages.bilateral:Bilateral",
    "non-local-means@1": "edgeprep.stages.non_local_means:NonLocalMeans",
    "low-pass@1": "edgeprep.stages.low_pass:LowPass",
    "band-pass@1": "edgeprep.stages.band_pass:BandPass",
    "equalize@1": "edgeprep.stages.equalize:Equalize",
    "clahe@1": "edgeprep.stages.clahe:Clahe",
    "stretch@1": "edgeprep.stages.stretch:Stretch",
    "sharpen@1": "edgeprep.stages.sharpen:Sharpen",
    "unsharp@1": "edgeprep.stages.unsharp:Unsharp",
    "sobel@1": "edgeprep.stages.sobel:Sobel",
    "scharr@1": "edgeprep.stages.scharr:Scharr",
    "laplacian@1": "edgeprep.stages.laplacian:Laplacian",
    "canny@1": "edgeprep.stages.canny:Canny",
    "normalize@1": "edgeprep.stages.normalize:Normalize",
    "scale@1": "edgeprep.stages.scale:Scale",
    "clip@1": "edgeprep.stages.clip:Clip",
    "dtype@1": "edgeprep.stages.dtype:DType",
    "layout@1": "edgeprep.stages.layout:Layout",
    "random-flip@1": "edgeprep.stages.random.flip:RandomFlip",
    "random-crop@1": "edgeprep.stages.random.crop:RandomCrop",
    "random-resized-crop@1": "edgeprep.stages.random.resized_crop:RandomResizedCrop",
    "random-rotate@1": "edgeprep.stages.random.rotate:RandomRotate",
    "random-turn@1": "edgeprep.stages.random.turn:RandomTurn",
    "color-jitter@1": "edgeprep.stages.random.color_jitter:RandomColorJitter",
    "random-noise@1": "edgeprep.stages.random.noise:RandomNoise",
    "random-blur@1": "edgeprep.stages.random.blur:RandomBlur",
    "cutout@1": "edgeprep.stages.random.cutout:RandomCutout",
}


@hookimpl
def edgeprep_stages() -> list[type[Stage]]:
    """Every built-in stage."""
    homes = [home.partition(":") for home in HOMES.values()]
    return [getattr(import_module(module), name) for module, _, name in homes]
