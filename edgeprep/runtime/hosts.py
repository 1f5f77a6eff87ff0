"""Which library prepares pictures on the host: numpy, or OpenCV where it is right and quicker."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.burst import measure_burst
from edgeprep.errors import RecipeError
from edgeprep.stages.chain import NUMPY, Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives

__all__ = [
    "Host",
    "HostName",
    "camera_picture",
    "choose_host",
    "could_use_opencv",
    "opencv_host",
]

HostName = Literal["numpy", "opencv"]

# OpenCV rounds to 11 bits of fraction, which moves a level that lies near a half to the next one.
_MOST_LEVELS = 1
_ROUNDS = 3
# Height and width in pixels, the commonest first.
_CAMERAS = ((480, 640), (1080, 1920), (4096, 4096))


class Host(Struct, frozen=True, kw_only=True, eq=False):
    """How a device prepares pictures for one placement.

    Attributes:
        chain: the host's share of the preprocessing.
        primitives: what computes it.
        name: the library behind `primitives`; "" where there was nothing to choose.
        reason: why it is that one, with times in milliseconds.
    """

    chain: Chain
    primitives: NumpyPrimitives = NUMPY
    name: HostName | Literal[""] = ""
    reason: str = ""

    def prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`picture` as the graph takes it; see `Chain.prepare`."""
        return self.chain.prepare(picture, self.primitives)


def could_use_opencv(chain: Chain) -> bool:
    """Whether OpenCV is installed, and `chain` has a resize that it does; nothing is imported."""
    plain = any(
        "resize_linear" in stage.host_primitives
        for stage, image in chain.steps
        if image.dtype == "uint8"
    )
    return plain and find_spec("cv2") is not None


def camera_picture(chain: Chain) -> NDArray[np.uint8] | None:
    """A picture to measure `chain` with; None where pictures of no usual size go through it."""
    for height, width in _CAMERAS:
        # Free-size pictures are timed at the commonest camera size that there may be.
        image = chain.input.replace(
            height=chain.input.height or height, width=chain.input.width or width
        )
        try:
            Chain(input=image, stages=chain.stages)
        except RecipeError:
            continue
        rng = np.random.default_rng(0)
        return rng.integers(0, 256, image.shape()[1:], dtype=np.uint8)
    return None


def opencv_host(chain: Chain, picture: NDArray[np.uint8]) -> Host:
    """`chain` on OpenCV, if it gives the levels that numpy gives, or their neighbours.

    Returns:
        A host on OpenCV, or one on numpy with the reason.
    """
    try:
        opencv = import_module("edgeprep.stages.primitives.opencv").OpenCVPrimitives()
        prepared = chain.prepare(picture, opencv)
    except Exception as error:  # noqa: BLE001 -- importing or calling it can fail in any way
        return _on_numpy(chain, f"opencv failed, {type(error).__name__}: {error}")
    levels = np.abs(prepared.astype(np.int16) - chain.prepare(picture)).max()
    if levels > _MOST_LEVELS:
        return _on_numpy(chain, f"opencv is up to {levels} levels off")
    return Host(chain=chain, primitives=opencv, name="opencv")


def choose_host(chain: Chain, picture: NDArray[np.uint8]) -> Host:
    """The quicker of numpy and OpenCV, measured in turns on `picture`."""
    candidate = opencv_host(chain, picture)
    if candidate.name != "opencv":
        return candidate
    hosts: Mapping[HostName, Host] = {"opencv": candidate, "numpy": _on_numpy(chain, "")}
    bursts: dict[HostName, list[list[float]]] = {name: [] for name in hosts}
    for _ in range(_ROUNDS):
        for name, host in hosts.items():
            bursts[name].append(measure_burst(lambda host=host: host.prepare(picture)))  # type: ignore[misc]
    # Not medians: other work on the machine only ever adds to a time, and may last for a burst.
    times = {name: min(map(min, found)) for name, found in bursts.items()}
    first, second = sorted(times, key=lambda name: times[name])
    reason = f"{first} prepares a picture in {times[first]:.3f} ms, {second} in {times[second]:.3f}"
    chosen = hosts[first]
    return Host(chain=chain, primitives=chosen.primitives, name=first, reason=reason)


def _on_numpy(chain: Chain, reason: str) -> Host:
    return Host(chain=chain, name="numpy", reason=reason)
