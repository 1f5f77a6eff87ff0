"""What prepares pictures on the host is measured once, held to numpy, and remembered."""

import subprocess
import sys
from importlib import import_module
from time import sleep

import numpy as np
import pytest
from msgspec.structs import replace

import edgeprep
from edgeprep.interfaces import Stage
from edgeprep.runtime import hosts
from edgeprep.runtime.benchmark import measure_all
from edgeprep.stages.chain import NUMPY, Chain
from edgeprep.stages.letterbox import Letterbox
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

PLAIN = Resize(size=(4, 4), antialias=False)


class Slower(NumpyPrimitives):
    """Right, and slower than numpy."""

    def run(self, stage, x, image):
        for _ in range(2):
            super().run(stage, x, image)
        return super().run(stage, x, image)


class Brighter(NumpyPrimitives):
    """Two levels off."""

    def run(self, stage, x, image):
        return super().run(stage, x, image) + np.float32(2)


class Failing(NumpyPrimitives):
    def run(self, stage, x, image):
        raise RuntimeError("no such function")


@pytest.fixture(autouse=True)
def _slow_numpy(monkeypatch):
    """Which of the two is quicker is no business of a test: numpy rests before every resize."""
    resize = NumpyPrimitives.resize_linear

    def rest(self, *arguments):
        sleep(0.002)
        return resize(self, *arguments)

    monkeypatch.setattr(NumpyPrimitives, "resize_linear", rest)


@pytest.fixture
def chain():
    return Chain(input=ImageSpec(), stages=(Resize(size=(64, 64), antialias=False),))


@pytest.fixture
def camera():
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


@pytest.fixture
def opencv(monkeypatch):
    """Puts another class where the interpreter by OpenCV is."""
    module = import_module("edgeprep.stages.primitives.opencv")
    return lambda cls: monkeypatch.setattr(module, "OpenCVPrimitives", cls)


@pytest.fixture
def path(write, manifest):
    """A bundle whose host resizes pictures of any size to 4×4."""
    resize = {"use": "resize@1", "size": [4, 4], "antialias": False}
    variants = tuple(replace(each, placement="host") for each in manifest.variants)
    golden = tuple(replace(each, placement="host") for each in manifest.golden)
    changed = replace(
        manifest,
        input=ImageSpec(),
        chain=(resize, *manifest.chain),
        variants=variants,
        golden=golden,
    )
    return write(changed)


def test_opencv_is_taken_where_it_is_quicker(chain, camera):
    host = hosts.choose_host(chain, camera)
    assert host.name == "opencv"
    assert host.reason.startswith("opencv prepares a picture in 0.")
    levels = host.prepare(camera).astype(int) - chain.prepare(camera)
    assert 0 < np.abs(levels).max() <= 1


def test_numpy_stays_where_it_is_quicker(chain, camera, opencv):
    opencv(Slower)
    host = hosts.choose_host(chain, camera)
    assert (host.name, host.primitives) == ("numpy", NUMPY)
    assert host.reason.startswith("numpy prepares a picture in ")


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (Brighter, "opencv is up to 2 levels off"),
        (Failing, "opencv failed, RuntimeError: no such function"),
    ],
)
def test_numpy_stays_where_opencv_is_wrong(chain, camera, opencv, cls, reason):
    opencv(cls)
    host = hosts.choose_host(chain, camera)
    assert (host.name, host.primitives, host.reason) == ("numpy", NUMPY, reason)


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (Resize(size=(4, 4)),),
        (Resize(size=(4, 4), method="area"),),
        (Resize(size=(9, 9)), PLAIN),
        (Letterbox(size=(4, 4)),),
    ],
    ids=["nothing", "antialiased", "area", "of-floats", "antialiased-letterbox"],
)
def test_there_is_no_choice_where_opencv_has_nothing_to_do(stages):
    assert not hosts.could_use_opencv(Chain(input=ImageSpec(), stages=stages))


class Shrunk(Stage):
    """A plugin's stage that leaves its resize to whichever library the host has."""

    name = "shrunk"
    host_primitives = ("resize_linear",)

    def output(self, image):
        return image.replace(height=4, width=4, dtype="float32")

    def apply(self, F, x, image):
        return F.resize_linear(x, 4, 4)


@pytest.mark.parametrize(
    "stage",
    [PLAIN, Letterbox(size=(4, 4), like="opencv"), Shrunk()],
    ids=["resize", "letterbox", "a-plugin's"],
)
def test_there_is_a_choice_for_every_stage_that_allows_it(stage):
    assert hosts.could_use_opencv(Chain(input=ImageSpec(), stages=(stage,)))


def test_there_is_no_choice_where_opencv_is_not_installed(chain, monkeypatch):
    assert hosts.could_use_opencv(chain)
    monkeypatch.setattr(hosts, "find_spec", lambda name: None)
    assert not hosts.could_use_opencv(chain)


def test_a_session_prepares_with_what_was_measured_and_remembers_it(path, fakes, camera):
    registry = fakes.registry(fakes.Right)
    with edgeprep.open(path, registry=registry) as first:
        assert first.outcomes[0].host == "opencv"
        assert "opencv prepares a picture in" in first.explain()
        outputs = first.outputs(camera)
    with edgeprep.open(path, registry=registry) as again:
        assert again.remembered
        assert again.explain() == first.explain().replace("measured now", "remembered")
        assert np.array_equal(again.outputs(camera)[0], outputs[0])
    with edgeprep.open(path, registry=registry, probe=False) as unmeasured:
        assert unmeasured.outcomes[0].host == ""


def test_what_was_remembered_is_proved_again(path, fakes, opencv):
    registry = fakes.registry(fakes.Right)
    with edgeprep.open(path, registry=registry) as first:
        assert first.outcomes[0].host == "opencv"
    opencv(Brighter)
    with edgeprep.open(path, registry=registry) as again:
        assert not again.remembered
        assert again.outcomes[0].host == "numpy"
        assert again.outcomes[0].reason.endswith("; opencv is up to 2 levels off")


def test_a_choice_made_without_opencv_is_made_again_once_it_is_there(path, fakes, monkeypatch):
    registry = fakes.registry(fakes.Right)
    with monkeypatch.context() as patch:
        patch.setattr(hosts, "find_spec", lambda name: None)
        with edgeprep.open(path, registry=registry) as first:
            assert first.outcomes[0].host == ""
    with edgeprep.open(path, registry=registry) as again:
        assert (again.remembered, again.outcomes[0].host) == (False, "opencv")


def test_the_benchmark_says_what_prepares_pictures(path, fakes):
    _, outcomes = measure_all(path, registry=fakes.registry(fakes.Right, fakes.Slow))
    assert [outcome.host for outcome in outcomes] == ["opencv", ""]


PROGRAM = """
import sys
from time import sleep
from edgeprep.stages.primitives.numpy import NumpyPrimitives
resize = NumpyPrimitives.resize_linear
NumpyPrimitives.resize_linear = lambda *arguments: (sleep(0.002), resize(*arguments))[1]
sys.path[:0] = {folder!r}, {folder!r} + "/../fakes"
import edgeprep
from conftest import registry_of, Right
session = edgeprep.open({path!r}, registry=registry_of(Right))
print(session.remembered, session.outcomes[0].host or None, "cv2" in sys.modules)
"""


def opened_anew(path):
    """What a fresh process finds: remembered, what prepares pictures, and whether cv2 is loaded."""
    folder = str(path.parent)
    program = PROGRAM.format(folder=str(__file__).rpartition("/")[0], path=str(path))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout.split()


def test_a_remembered_choice_of_numpy_does_not_touch_opencv(path, fakes, opencv):
    registry = fakes.registry(fakes.Right)
    opencv(Slower)
    with edgeprep.open(path, registry=registry) as first:
        assert first.outcomes[0].host == "numpy"
    opencv(Failing)
    with edgeprep.open(path, registry=registry) as again:
        assert (again.remembered, again.outcomes[0].host) == (True, "numpy")


def test_opencv_is_imported_where_it_was_chosen(path):
    assert opened_anew(path) == ["False", "opencv", "True"]
    assert opened_anew(path) == ["True", "opencv", "True"]


def test_opencv_is_never_imported_where_there_is_no_plain_resize(bundle):
    assert opened_anew(bundle) == ["False", "None", "False"]
    assert opened_anew(bundle) == ["True", "None", "False"]
