"""The kit on random stages: a fine one passes, and every way of being broken is found."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import RecipeError
from edgeprep.interfaces import RandomStage, Stage
from edgeprep.stages.crop import Crop
from edgeprep.stages.flip import Flip
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.requirements import need_channels_last
from edgeprep.stages.scale import Scale
from edgeprep.tensors import ImageSpec
from edgeprep.testing import ConformanceError, check_stage


@dataclass(frozen=True, kw_only=True)
class Fine(RandomStage):
    """Half of the pictures are mirrored. Each class below breaks one rule of it."""

    name: ClassVar[str] = "broken"

    def output(self, image):
        need_channels_last(image)
        return image

    def draw(self, generator, image):
        return (Flip(axis="horizontal"),) if generator.random() < 0.5 else ()


@dataclass(frozen=True, kw_only=True)
class Changed(Stage):
    """A stage to draw that is as fine as `Fine`."""

    name: ClassVar[str] = "changed"

    def output(self, image):
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        return F.cast(x, "float32")


@dataclass(frozen=True, kw_only=True)
class Draws(Fine):
    """Makes float32 of pictures by whatever stages a subclass says."""

    stages: ClassVar[tuple] = (Changed(),)

    def output(self, image):
        return super().output(image).replace(dtype="float32")

    def draw(self, generator, image):
        return self.stages


class RefusesAll(Fine):
    def output(self, image):
        raise RecipeError("needs other pictures")


class RefusesByAnotherError(Fine):
    def output(self, image):
        if image.range == "normalized":
            raise KeyError("range")
        return super().output(image)


class GivesNoImageSpec(Fine):
    def output(self, image):
        return image.shape()


class ForgetsTheSize(Fine):
    def output(self, image):
        return super().output(image).replace(height=None)


class PromisesAnotherColor(Fine):
    def output(self, image):
        return super().output(image).replace(color=image.color if image.is_fixed else "grey")


class FailsAtTimes(Fine):
    def draw(self, generator, image):
        return (Flip(axis=("horizontal", "vertical")[generator.integers(3)]),)


class GivesOneStage(Fine):
    def draw(self, generator, image):
        return Flip(axis="horizontal")


class GivesAList(Fine):
    def draw(self, generator, image):
        return list(super().draw(generator, image))


class DrawsAClass(Fine):
    def draw(self, generator, image):
        return (Flip,)


class DrawsWhatIsRandom(Fine):
    def draw(self, generator, image):
        return (Fine(),)


class HasChanceOfItsOwn(Fine):
    calls: ClassVar[list[int]] = []

    def draw(self, generator, image):
        self.calls.append(1)
        return (Flip(axis="horizontal"),) if len(self.calls) % 2 else ()


class HoldsAnArray(Draws):
    @dataclass(frozen=True, kw_only=True)
    class Holding(Changed):
        weights: np.ndarray

    def draw(self, generator, image):
        return (self.Holding(weights=generator.random(3)),)


class DoesNotFit(Draws):
    stages = (Normalize(mean=(0.0,), std=(1.0,)), Scale())


class LeavesAnotherSize(Fine):
    def draw(self, generator, image):
        return (Crop(size=(1, 1)),) if image.height > 5 else ()


class LeavesAnotherType(Fine):
    """`draw` brings uint8 to float32 where that is promised; never the other way."""

    def draw(self, generator, image):
        return (Changed(),)


class FailsInTorch(Draws):
    class Numpy(Changed):
        def apply(self, F, x, image):
            return x.astype("float32")

    stages = (Numpy(),)


class GivesAnotherShape(Draws):
    class Turned(Changed):
        def apply(self, F, x, image):
            return F.transpose(F.cast(x, "float32"), (0, 3, 1, 2))

    stages = (Turned(),)


class LeavesTheRange(Draws):
    class Brighter(Changed):
        def apply(self, F, x, image):
            return F.add(F.cast(x, "float32"), 30.0)

    stages = (Brighter(),)


class OtherInTorch(Draws):
    class Moved(Changed):
        def apply(self, F, x, image):
            moved = 0.0 if isinstance(x, np.ndarray) else -0.2
            return F.clip(F.add(F.cast(x, "float32"), moved), 0.0, 255.0)

    stages = (Moved(),)


PICTURE = " on 1×1 rgb nhwc uint8 0..255"
PROMISED = f"{PICTURE}: draw() must give pictures as output() says"
FIXED = f"{PICTURE}: draw() must give a tuple of stages that are not random"

BROKEN = {
    RefusesAll: ": must accept some kind of picture, got none; pass one as image",
    RefusesByAnotherError: (
        " on 1×1 rgb nhwc float32 normalized: "
        "output() must refuse pictures by a RecipeError, got KeyError: 'range'"
    ),
    GivesNoImageSpec: f"{PICTURE}: output() must give an ImageSpec, got (1, 1, 1, 3)",
    ForgetsTheSize: (
        f"{PICTURE}: output() must give a fixed size, got any size rgb nhwc uint8 0..255"
    ),
    PromisesAnotherColor: (
        f"{PICTURE}: output() must be what a free size promises, "
        "any size grey nhwc uint8 0..255, got 1×1 rgb nhwc uint8 0..255"
    ),
    FailsAtTimes: (
        f"{PICTURE}: draw() must work on what output() accepts, "
        "got IndexError: tuple index out of range"
    ),
    GivesOneStage: f"{FIXED}, got Flip(axis='horizontal')",
    GivesAList: f"{FIXED}, got []",
    DrawsAClass: f"{FIXED}, got (<class 'edgeprep.stages.flip.Flip'>,)",
    DrawsWhatIsRandom: f"{FIXED}, got (Fine(),)",
    HasChanceOfItsOwn: (
        f"{PICTURE}: draw() must be the same for a seed, got (Flip(axis='horizontal'),) and (); "
        "take all chance from the generator"
    ),
    HoldsAnArray: (
        f"{PICTURE}: draw() must give hashable stages, "
        "got TypeError: unhashable type: 'numpy.ndarray'"
    ),
    DoesNotFit: (
        f"{PICTURE}: draw() must give stages that work one after the other, "
        "got edgeprep.errors.RecipeError: needs one number a channel as mean, 3 for rgb pictures, "
        "got [0.0]"
    ),
    LeavesAnotherSize: (
        " on 33×46 rgb nhwc uint8 0..255: draw() must give pictures as output() says, "
        "33×46 rgb nhwc uint8 0..255, got 1×1 rgb nhwc uint8 0..255"
    ),
    LeavesAnotherType: (f"{PROMISED}, 1×1 rgb nhwc uint8 0..255, got 1×1 rgb nhwc float32 0..255"),
    FailsInTorch: (
        f"{PICTURE}: draw() must give stages that work in numpy and torch, "
        "got AttributeError: 'Tensor' object has no attribute 'astype'"
    ),
    GivesAnotherShape: (
        f"{PICTURE}: draw() must give float32 of shape (1, 1, 1, 3), as output() says, "
        "got float32 of shape (1, 3, 1, 1)"
    ),
    LeavesTheRange: (
        f"{PICTURE}: draw() must give values in 0..255, as output() says, got 161 to 275"
    ),
    OtherInTorch: f"{PICTURE}: draw() must agree in torch and numpy to 0.00039, got 0.00082",
}


@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_random_stage_is_found(cls):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_stage(cls())
    assert str(caught.value) == f"stage 'broken'{BROKEN[cls]}"


@pytest.mark.parametrize("cls", [Fine, Draws])
def test_a_random_stage_that_breaks_no_rule_passes(cls):
    check_stage(cls())


def test_a_random_stage_is_tried_on_one_kind_of_picture_where_it_is_given():
    normalized = ImageSpec(dtype="float32", range="normalized")
    with pytest.raises(ConformanceError, match=r"^stage 'broken' on 1×1 .* normalized: output"):
        check_stage(RefusesByAnotherError(), normalized)
    check_stage(RefusesByAnotherError(), ImageSpec(color="grey"))


def test_a_random_stage_may_be_held_to_another_tolerance():
    check_stage(OtherInTorch(), ImageSpec(height=3, width=7), tolerance=0.001)
