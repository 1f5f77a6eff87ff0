"""Stages that work on the pixels of the network's size, and what each family is held to."""

from edgeprep.interfaces import Stage
from edgeprep.stages.band_pass import BandPass
from edgeprep.stages.bilateral import Bilateral
from edgeprep.stages.canny import Canny
from edgeprep.stages.clahe import Clahe
from edgeprep.stages.color import Color
from edgeprep.stages.equalize import Equalize
from edgeprep.stages.gamma import Gamma
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.laplacian import Laplacian
from edgeprep.stages.linear import Linear
from edgeprep.stages.low_pass import LowPass
from edgeprep.stages.mean import Mean
from edgeprep.stages.median import Median
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.scharr import Scharr
from edgeprep.stages.sharpen import Sharpen
from edgeprep.stages.sobel import Sobel
from edgeprep.stages.stretch import Stretch
from edgeprep.stages.unsharp import Unsharp
from edgeprep.stages.white_balance import WhiteBalance

__all__ = ["FLOAT", "KNOWN_SLOW", "WHOLE"]

# Defined in whole levels: engines must not differ in a single pixel.
WHOLE: dict[str, Stage] = {
    "grey": Color(to="grey"),
    "median 3×3": Median(size=3),
    "median 5×5": Median(size=5),
    "equalize": Equalize(),
    "clahe 8×8": Clahe(),
    "canny, 32 steps": Canny(),
}
# Defined in real numbers.
FLOAT: dict[str, Stage] = {
    "normalize": Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "gamma": Gamma(exponent=2.2),
    "linear": Linear(),
    "white-balance": WhiteBalance(),
    "mean 5×5": Mean(size=5),
    "gaussian, sigma 1": Gaussian(sigma=1.0),
    "low-pass, sigma 3": LowPass(sigma=3.0),
    "band-pass, sigma 1 to 3": BandPass(sigma=(1.0, 3.0)),
    "bilateral, d 5": Bilateral(sigma_color=25.0, sigma_space=2.0),
    "stretch": Stretch(),
    "sharpen": Sharpen(),
    "unsharp": Unsharp(),
    "sobel": Sobel(),
    "scharr": Scharr(),
    "laplacian": Laplacian(),
}
# They take LiteRT longer than the rest may; `edgeprep check` measures it, and warns.
KNOWN_SLOW = {("median 5×5", "litert"), ("canny, 32 steps", "litert")}
