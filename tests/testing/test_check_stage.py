"""The kit on stages: a fine one passes, and every way of being broken is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import InputError, RecipeError
from edgeprep.interfaces import Stage
from edgeprep.tensors import ImageSpec
from edgeprep.testing import ConformanceError, check_stage


@dataclass(frozen=True, kw_only=True)
class Fine(Stage):
    """Pictures become float32. Each class below breaks one rule of it."""

    name: ClassVar[str] = "broken"

    def output(self, image):
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        return F.cast(x, "float32")


@dataclass(frozen=True, kw_only=True)
class HoldsATable(Fine):
    weights: Mapping[str, float] = field(default_factory=dict)


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
        return image.replace(dtype="float32", height=None)


@dataclass(frozen=True, kw_only=True)
class Moody(Fine):
    calls: ClassVar[list[int]] = []

    def output(self, image):
        self.calls.append(1)
        return image.replace(dtype="uint8" if len(self.calls) % 2 else "float32")


@dataclass(frozen=True, kw_only=True)
class PromisesAnotherColor(Fine):
    def output(self, image):
        return image.replace(dtype="float32", color=image.color if image.is_fixed else "grey")


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
class GivesAList(Fine):
    def apply(self, F, x, image):
        return [F.cast(x, "float32")]


@dataclass(frozen=True, kw_only=True)
class OtherShape(Fine):
    def apply(self, F, x, image):
        return F.transpose(F.cast(x, "float32"), (0, 2, 1, 3))


@dataclass(frozen=True, kw_only=True)
class DividesByNothing(Fine):
    def apply(self, F, x, image):
        return F.multiply(F.cast(x, "float32"), float("inf"))


@dataclass(frozen=True, kw_only=True)
class LeavesTheRange(Fine):
    def apply(self, F, x, image):
        return F.add(F.cast(x, "float32"), 30.0)


@dataclass(frozen=True, kw_only=True)
class TakesHueForALevel(Fine):
    def output(self, image):
        if image.range != "0..255":
            raise RecipeError("needs values in 0..255")
        return super().output(image)

    def apply(self, F, x, image):
        return F.add(F.multiply(F.cast(x, "float32"), 0.0), 255.0)


@dataclass(frozen=True, kw_only=True)
class DrawsAnew(Fine):
    random: ClassVar[np.random.Generator] = np.random.default_rng(0)

    def apply(self, F, x, image):
        return F.multiply(F.cast(x, "float32"), self.random.random())


@dataclass(frozen=True, kw_only=True)
class NeedsTheSize(Fine):
    def apply(self, F, x, image):
        return F.multiply(F.cast(x, "float32"), 1 / max(image.height, 1))


@dataclass(frozen=True, kw_only=True)
class OtherWhereFree(Fine):
    def apply(self, F, x, image):
        return F.multiply(F.cast(x, "float32"), 1.0 if image.is_fixed else 0.5)


@dataclass(frozen=True, kw_only=True)
class NeedsThreeRows(Fine):
    """Refuses smaller pictures when the chain is built, and forgets to where the size is free."""

    def output(self, image):
        if image.layout != "nhwc" or (image.height is not None and image.height < 3):
            raise RecipeError("needs 3 rows, and channels last")
        return super().output(image)


@dataclass(frozen=True, kw_only=True)
class StumblesOverSmall(NeedsThreeRows):
    def apply(self, F, x, image):
        F.shape(x)[1] >= 3 or [][0]
        return super().apply(F, x, image)


@dataclass(frozen=True, kw_only=True)
class RefusesSmall(NeedsThreeRows):
    """As it should be."""

    def apply(self, F, x, image):
        rows = F.shape(x)[1]
        if (rows * 2 // 3 if image.is_planar else rows) < 3:
            raise InputError("picture: must have 3 rows")
        return super().apply(F, x, image)


@dataclass(frozen=True, kw_only=True)
class NumpyAlone(Fine):
    def apply(self, F, x, image):
        return x.astype("float32")


@dataclass(frozen=True, kw_only=True)
class BesideF(Fine):
    def apply(self, F, x, image):
        return F.cast(x, "float32") * 1.0


@dataclass(frozen=True, kw_only=True)
class DoublesInTorch(Fine):
    def apply(self, F, x, image):
        x = F.cast(x, "float32")
        return x.double() if type(F).__name__ == "TorchPrimitives" else x


@dataclass(frozen=True, kw_only=True)
class OtherInTorch(Fine):
    def apply(self, F, x, image):
        moved = 0.0 if isinstance(x, np.ndarray) else -0.2
        return F.clip(F.add(F.cast(x, "float32"), moved), 0.0, 255.0)


@dataclass(frozen=True, kw_only=True)
class OtherInOnnx(Fine):
    def apply(self, F, x, image):
        moved = -0.2 if type(F).__name__ == "OnnxPrimitives" else 0.0
        return F.clip(F.add(F.cast(x, "float32"), moved), 0.0, 255.0)


PICTURE = " on 1×1 rgb nhwc uint8 0..255"
TYPE = "apply() must give finite float32 of shape (1, 1, 1, 3) in"

BROKEN = {
    HoldsATable: ": must be hashable, got TypeError: unhashable type: 'dict'",
    Forgetful: ": must equal what its own fields build, got Forgetful(weights=(1.0, 1.0, 1.0))",
    RefusesAll: ": must accept some kind of picture, got none; pass one as image",
    RefusesByAnotherError: (
        " on 1×1 rgb nhwc float32 normalized: "
        "output() must refuse pictures by a RecipeError, got KeyError: 'range'"
    ),
    GivesNoImageSpec: f"{PICTURE}: output() must give an ImageSpec, got (1, 1, 1, 3)",
    ForgetsTheSize: (
        f"{PICTURE}: output() must give a fixed size, got any size rgb nhwc float32 0..255"
    ),
    Moody: (
        f"{PICTURE}: output() must always give the same, "
        "got 1×1 rgb nhwc uint8 0..255 and 1×1 rgb nhwc float32 0..255"
    ),
    PromisesAnotherColor: (
        f"{PICTURE}: output() must be what a free size promises, "
        "any size grey nhwc float32 0..255, got 1×1 rgb nhwc float32 0..255"
    ),
    FailsInNumpy: (
        f"{PICTURE}: apply() must work in numpy, "
        "got AttributeError: 'numpy.ndarray' object has no attribute 'numpy'"
    ),
    ChangesItsInput: f"{PICTURE}: apply() must not change what it is given, got it changed",
    MixesTheBatch: (
        f"{PICTURE}: apply() must treat each picture of a batch alone, got a difference of 0.5"
    ),
    DrawsAnew: f"{PICTURE}: apply() must give the same each time, got two results",
    ForgetsToCast: (f"{PICTURE}: {TYPE} numpy, as output() says, got uint8 of shape (1, 1, 1, 3)"),
    GivesAList: f"{PICTURE}: {TYPE} numpy, as output() says, got list",
    OtherShape: (
        " on 1×1 rgb nchw float32 0..255: apply() must give finite float32 of shape (1, 3, 1, 1) "
        "in numpy, as output() says, got float32 of shape (1, 1, 3, 1)"
    ),
    DividesByNothing: f"{PICTURE}: {TYPE} numpy, as output() says, got NaN or infinity",
    LeavesTheRange: (
        f"{PICTURE}: apply() must give values in 0..255, as output() says, got 30 to 275"
    ),
    TakesHueForALevel: (
        " on 1×1 hsv nhwc float32 0..255: "
        "apply() must give hues in 0..180, as hsv has them, got up to 255"
    ),
    NeedsTheSize: (
        f"{PICTURE}: apply() must work where the size is free, "
        "got TypeError: '>' not supported between instances of 'int' and 'NoneType'"
    ),
    OtherWhereFree: (
        f"{PICTURE}: apply() must give the same where the size is free, got another result"
    ),
    NeedsThreeRows: (
        f"{PICTURE}: apply() must raise InputError, as output() refuses this size, got a result"
    ),
    StumblesOverSmall: (
        f"{PICTURE}: apply() must raise InputError, as output() refuses this size, "
        "got IndexError: list index out of range"
    ),
    NumpyAlone: (
        f"{PICTURE}: apply() must work in torch, "
        "got AttributeError: 'Tensor' object has no attribute 'astype'"
    ),
    BesideF: (
        f"{PICTURE}: apply() must work in ONNX Runtime, "
        "got TypeError: unsupported operand type(s) for *: 'Value' and 'float'"
    ),
    DoublesInTorch: (
        f"{PICTURE}: {TYPE} torch, as output() says, got float64 of shape (1, 1, 1, 3)"
    ),
    OtherInTorch: f"{PICTURE}: apply() must agree in torch and numpy to 0.00039, got 0.00082",
    OtherInOnnx: f"{PICTURE}: apply() must agree in ONNX Runtime and numpy to 0.00039, got 0.00082",
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # DividesByNothing
@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_stage_is_found(cls):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_stage(cls())
    assert str(caught.value) == f"stage 'broken'{BROKEN[cls]}"


@pytest.mark.parametrize("cls", [Fine, RefusesSmall])
def test_a_stage_that_breaks_no_rule_passes(cls):
    check_stage(cls())


def test_one_kind_of_picture_alone_is_tried_where_it_is_given():
    normalized = ImageSpec(dtype="float32", range="normalized")
    with pytest.raises(
        ConformanceError,
        match=r"^stage 'broken' on 1×1 rgb nhwc float32 normalized: output\(\) must refuse",
    ):
        check_stage(RefusesByAnotherError(), normalized)
    check_stage(RefusesByAnotherError(), normalized.replace(range="0..1"))


def test_one_size_alone_is_tried_where_it_is_given():
    with pytest.raises(
        ConformanceError,
        match=r"^stage 'broken' on 2×7 grey nhwc uint8 0\.\.255: apply\(\) must raise",
    ):
        check_stage(NeedsThreeRows(), ImageSpec(height=2, width=7, color="grey"))
    check_stage(NeedsThreeRows(), ImageSpec(height=3, width=7, color="grey"))


def test_a_stage_may_be_held_to_another_tolerance():
    check_stage(OtherInTorch(), ImageSpec(height=3, width=7), tolerance=0.001)


def test_a_class_that_the_registry_would_refuse_is_refused():
    class Thawed(Fine):
        name = "Thawed!"

    with pytest.raises(
        ConformanceError,
        match=r"^stage class 'Thawed': must have a class attribute 'name' of a-z, 0-9, - and _, "
        r"got 'Thawed!'$",
    ):
        check_stage(Thawed())


def test_a_class_instead_of_an_instance_is_refused():
    with pytest.raises(
        ConformanceError,
        match=r"^stage class 'Fine': must be checked by an instance, got the class; "
        r"construct it: Fine\(…\)$",
    ):
        check_stage(Fine)
