"""Where results lie, from a camera's picture through real stages and a session to boxes and maps.

The networks are made of numpy, and do what is asked of any: one finds what is bright in what it
sees, the other gives back what it sees.
"""

import numpy as np
import pytest

from edgeprep.geometry import Frame
from edgeprep.interfaces import Runner
from edgeprep.runtime import from_rgb
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.schema import build
from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.crop import Crop
from edgeprep.stages.flip import Flip
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.stages.rotate import Rotate
from edgeprep.tasks.depth import Depth
from edgeprep.tasks.detect import Detect
from edgeprep.tensors import ImageSpec, TensorSpec

HEIGHT, WIDTH = 40, 60
# Least x, least y, greatest x, greatest y.
BRIGHT = [12, 8, 40, 20]

DETECT = build(
    Detect,
    {"labels": ["bright"], "boxes": {"output": 0}, "scores": {"output": 1, "activation": "none"}},
    "task",
)


class Sees(Runner):
    """A network that looks at the newest picture alone."""

    inputs = ()
    outputs = tuple(TensorSpec(name=name, shape=(1,), dtype="float32") for name in ("a", "b"))

    def run(self, inputs):
        levels = inputs[0][-1, :, :, 0]
        return self.answer(levels.astype(np.float32))

    def close(self):
        pass


class Finds(Sees):
    def answer(self, levels):
        y, x = np.nonzero(levels > 128)
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        return np.float32([[box]]), np.float32([[[0.9]]])


class Echoes(Sees):
    def answer(self, levels):
        return (levels[None, None],)


CHAINS = {
    "as it is": (),
    "smaller": (Resize(size=(20, 30)),),
    "letterbox": (Letterbox(size=(64, 64)),),
    "letterbox of another form": (Letterbox(size=(32, 90)),),
    "mirrored and turned": (Flip(axis="horizontal"), Rotate(clockwise=90)),
    "turned and larger": (Rotate(clockwise=270), Resize(size=(90, 80))),
    "pad": (Pad(top=3, left=5, bottom=1, value=7), Resize(size=(88, 130))),
    "crop": (Crop(size=(30, 50), top=4, left=6),),
}


def picture():
    levels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    levels[BRIGHT[1] : BRIGHT[3], BRIGHT[0] : BRIGHT[2]] = 220
    return levels


def session(task, runner, stages, **image):
    chain = Chain(input=ImageSpec(**image), stages=stages)
    return NetworkSession(
        name="places",
        input=chain.input,
        chain=chain,
        host=Chain(input=chain.input.replace(batch=1), stages=stages),
        runner=runner,
        task=task,
        outcomes=(),
        remembered=False,
    )


@pytest.mark.parametrize("name", CHAINS)
def test_a_box_lies_where_the_camera_saw_the_object(name):
    (found,) = session(DETECT, Finds(), CHAINS[name])(picture())
    # A pixel of the smallest picture is two of the camera's.
    assert np.abs(np.array(found.box) - BRIGHT).max() <= 2


@pytest.mark.parametrize("name", CHAINS)
def test_a_map_lies_over_what_the_camera_saw(name):
    values = session(Depth(), Echoes(), CHAINS[name])(picture()).values
    assert values.shape == (HEIGHT, WIDTH)
    bright, there = values > 120, picture()[..., 0] > 120
    # All but its edge, which is smoothed.
    assert (bright & there).sum() >= 0.9 * (bright | there).sum()


@pytest.mark.parametrize("color", ["nv12", "i420"])
def test_planes_are_as_high_as_their_pixels(color):
    stages = (Color(to="rgb"), Resize(size=(20, 30)))
    open_session = session(DETECT, Finds(), stages, color=color)
    (found,) = open_session(from_rgb(picture(), open_session.input))
    assert np.abs(np.array(found.box) - BRIGHT).max() <= 2


def test_of_a_clip_results_lie_in_its_pictures():
    stages = (Letterbox(size=(64, 64)),)
    clip = np.stack([np.full_like(picture(), 20), picture()])
    open_session = session(DETECT, Finds(), stages, batch=2)
    (found,) = open_session(clip)
    assert np.abs(np.array(found.box) - BRIGHT).max() <= 2
    none, (last,) = open_session.stream(clip)
    assert none is None
    assert last == found


def test_frames_are_worked_out_once_and_forgotten_in_time():
    frames = Frames(Chain(input=ImageSpec(), stages=(Resize(size=(8, 8)),)))
    first = frames.of(np.zeros((10, 20, 3), np.uint8))
    assert frames.of(np.ones((10, 20, 3), np.uint8)) is first
    others = [frames.of(np.zeros((11, width, 3), np.uint8)) for width in range(1, 101)]
    assert [each.width for each in others] == list(range(1, 101))
    again = frames.of(np.zeros((10, 20, 3), np.uint8))
    assert again == first
    # A folder of photographs must not fill the memory.
    assert again is not first


def test_frames_of_planes_are_those_of_their_pixels():
    chain = Chain(input=ImageSpec(color="nv12"), stages=(Color(to="rgb"),))
    found = Frames(chain).of(np.zeros((60, 60, 1), np.uint8))
    assert found == Frame.whole(40, 60)
