"""The kit on stages: the built-ins pass, and every way of being broken is found."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.registry import Registry
from edgeprep.stages.center_crop import CenterCrop
from edgeprep.stages.color import Color
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.pad import Pad
from edgeprep.stages.resize import Resize
from edgeprep.stages.scale import Scale
from edgeprep.testing import ConformanceError, check_stage

BUILT_INS = [
    Resize(size=(7, 9)),
    Resize(size=(64, 48), antialias=False),
    Resize(size=(20, 30), method="area"),
    Resize(size=16, mode="short"),
    Resize(size=(20, 20), mode="letterbox", fill=3),
    CenterCrop(size=(3, 2)),
    CenterCrop(size=(100, 101)),
    Pad(top=1, left=2, value=7),
    Pad(size=(50, 60)),
    Color(to="bgr"),
    Color(to="grey"),
    Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    Normalize(mean=(120.0,), std=(60.0,), unit="0..255"),
    Scale(),
    DType(to="float32"),
    Layout(to="nchw"),
    Layout(to="nhwc"),
]


@pytest.mark.parametrize("stage", BUILT_INS, ids=str)
def test_built_in_stages_conform(stage):
    check_stage(stage)


def test_every_built_in_stage_is_checked():
    assert {type(stage) for stage in BUILT_INS} == {*Registry(installed=False).classes("stage")}


@dataclass(frozen=True, kw_only=True)
class Fine(Stage):
    """Pictures become float32. Each class below breaks one rule of it."""

    name: ClassVar[str] = "broken"

    def output(self, image):
        return replace(image, dtype="float32")

    def apply(self, F, x, image):
        return F.cast(x, "float32")


@dataclass(frozen=True, kw_only=True)
class Unhashable(Fine):
    weights: object = ()

    def __hash__(self):
        return hash([])


@dataclass(frozen=True, kw_only=True)
class Forgetful(Fine):
    weights: tuple[float, ...] = (1.0,)

    def __post_init__(self):
        object.__setattr__(self, "weights", (*self.weights, 1.0))


@dataclass(frozen=True, kw_only=True)
class RefusesAll(Fine):
    def output(self, image):
        raise RecipeError("needs other pictures")


@dataclass(frozen=True, kw_only=True)
class RefusesByAnotherError(Fine):
    def output(self, image):
        if image.range == "normalized":
            raise KeyError("range")
        return super().output(image)


@dataclass(frozen=True, kw_only=True)
class GivesNoImageSpec(Fine):
    def output(self, image):
        return image.shape() if image.is_fixed else image


@dataclass(frozen=True, kw_only=True)
class ForgetsTheSize(Fine):
    def output(self, image):
        return replace(image, dtype="float32", height=None)


@dataclass(frozen=True, kw_only=True)
class Moody(Fine):
    calls: ClassVar[list[int]] = []

    def output(self, image):
        self.calls.append(1)
        return replace(image, dtype="uint8" if len(self.calls) % 2 else "float32")


@dataclass(frozen=True, kw_only=True)
class PromisesAnotherColor(Fine):
    def output(self, image):
        return replace(image, dtype="float32", color=image.color if image.is_fixed else "grey")


@dataclass(frozen=True, kw_only=True)
class FailsInNumpy(Fine):
    def apply(self, F, x, image):
        return F.cast(x, "float32").numpy()


@dataclass(frozen=True, kw_only=True)
class ChangesItsInput(Fine):
    def apply(self, F, x, image):
        if isinstance(x, np.ndarray):
            x[...] = 0
        return F.cast(x, "float32")


@dataclass(frozen=True, kw_only=True)
class MixesTheBatch(Fine):
    def apply(self, F, x, image):
        x = F.cast(x, "float32")
        return F.multiply(x, 1.0 / F.shape(x)[0])


@dataclass(frozen=True, kw_only=True)
class ForgetsToCast(Fine):
    def apply(self, F, x, image):
        return x


@dataclass(frozen=True, kw_only=True)
class OtherShape(Fine):
    def apply(self, F, x, image):
        return F.transpose(F.cast(x, "float32"), (0, 2, 1, 3))


@dataclass(frozen=True, kw_only=True)
class DividesByNought(Fine):
    def apply(self, F, x, image):
        return F.multiply(F.cast(x, "float32"), float("inf"))


@dataclass(frozen=True, kw_only=True)
class LeavesTheRange(Fine):
    def apply(self, F, x, image):
        return F.add(F.cast(x, "float32"), 30.0)


@dataclass(frozen=True, kw_only=True)
class NumpyAlone(Fine):
    def apply(self, F, x, image):
        return np.add(F.cast(x, "float32"), np.float32(0)) if image.color == "grey" else x * 1.0


@dataclass(frozen=True, kw_only=True)
class OtherInTorch(Fine):
    def apply(self, F, x, image):
        moved = 0.0 if isinstance(x, np.ndarray) else -0.2
        return F.clip(F.add(F.cast(x, "float32"), moved), 0.0, 255.0)


ONE = "stage 'broken' on 1×1 rgb nhwc uint8 0..255: "

BROKEN = {
    Unhashable: "stage 'broken': must be hashable, got TypeError: unhashable type: 'list'",
    Forgetful: (
        "stage 'broken': must equal what its own fields build, "
        "got Forgetful(weights=(1.0, 1.0, 1.0))"
    ),
    RefusesAll: ("stage 'broken': must accept some kind of picture, got none; pass one as image"),
    RefusesByAnotherError: (
        "stage 'broken' on 1×1 rgb nhwc float32 normalized: "
        "output() must refuse pictures by a RecipeError, got KeyError: 'range'"
    ),
    GivesNoImageSpec: f"{ONE}output() must give an ImageSpec, got (1, 1, 1, 3)",
    ForgetsTheSize: (f"{ONE}output() must give a fixed size, got any size rgb nhwc float32 0..255"),
    Moody: (
        f"{ONE}output() must always give the same, "
        "got 1×1 rgb nhwc uint8 0..255 and 1×1 rgb nhwc float32 0..255"
    ),
    PromisesAnotherColor: (
        f"{ONE}output() must be what a free size promises, any size grey nhwc float32 0..255, "
        "got 1×1 rgb nhwc float32 0..255"
    ),
    FailsInNumpy: f"{ONE}apply() must work in numpy, got AttributeError: ",
    ChangesItsInput: f"{ONE}apply() must not change what it is given",
    MixesTheBatch: (
        f"{ONE}apply() must treat each picture of a batch alone, got a difference of 0.5"
    ),
    ForgetsToCast: (
        f"{ONE}apply() must give finite float32 of shape (1, 1, 1, 3) in numpy, "
        "as output() says, got uint8 of shape (1, 1, 1, 3)"
    ),
    OtherShape: (
        "stage 'broken' on 1×1 rgb nchw float32 0..255: "
        "apply() must give finite float32 of shape (1, 3, 1, 1) in numpy, as output() says, "
        "got float32 of shape (1, 1, 3, 1)"
    ),
    DividesByNought: f"{ONE}apply() must give finite float32 of shape (1, 1, 1, 3) in numpy",
    LeavesTheRange: f"{ONE}apply() must give values in 0..255, as output() says, got 30 to 275",
    NumpyAlone: f"{ONE}apply() must give finite float32 of shape (1, 1, 1, 3) in numpy",
    OtherInTorch: f"{ONE}apply() must agree in torch and numpy to 0.00039, got 0.0008",
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # DividesByNought
@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_stage_is_found(cls):
    with pytest.raises(ConformanceError, match=f"^{re.escape(BROKEN[cls])}"):
        check_stage(cls())


def test_the_stage_that_they_are_made_from_is_fine():
    check_stage(Fine())


def test_a_class_that_the_registry_would_refuse_is_refused():
    class Thawed(Fine):
        pass

    Thawed.name = "Thawed!"
    with pytest.raises(
        ConformanceError, match=r"^stage class 'Thawed': must have a class attribute"
    ):
        check_stage(Thawed())
