"""What is known of a picture on its way through torchvision's transforms."""

from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeAlias

from edgeprep.importers import stages
from edgeprep.importers.stages import Table
from edgeprep.schema.messages import broken

__all__ = ["Kind", "Name", "State", "attribute", "refuse"]

Kind: TypeAlias = Literal["pil", "tensor"]

# Beside all whose names begin with "Random": what they do to a picture is drawn anew each time.
TRAINING = {
    "AugMix",
    "AutoAugment",
    "ColorJitter",
    "CutMix",
    "ElasticTransform",
    "GaussianNoise",
    "MixUp",
    "RandAugment",
    "ScaleJitter",
    "TrivialAugmentWide",
}
TRAIN_REMEDY = "leave it out: it is for training only; import the transform for evaluation"
REMEDIES = {
    "CenterCropOrPad": "timm made it: import the model's configuration with from_timm",
    "FiveCrop": "it makes several pictures of one; use CenterCrop",
    "Lambda": "code cannot be read; put the stages that it stands for into the recipe by hand",
    "ResizeKeepRatio": "timm made it: import the model's configuration with from_timm",
    "TenCrop": "it makes several pictures of one; use CenterCrop",
    "partial": "call it first, as in weights.transforms()",
}
UNKNOWN = "leave it out of the import, and put stages that do the same into the recipe by hand"


@dataclass(slots=True)
class State:
    """What a picture has become on its way through the transforms.

    Attributes:
        kind: a PIL image or a tensor; None where it may be either.
        where: the place of the transform that is read.
        tables: what has been said so far.
        factor: what 0..255 has been multiplied by.
        floating: whether values are floats.
        normalized: whether a mean has been subtracted.
        color: "rgb" or "grey".
        shorter: the shorter side, in pixels, if it is known; `size` likewise.
    """

    kind: Kind | None
    where: str = ""
    tables: list[Table] = field(default_factory=list)
    factor: float = 1.0
    floating: bool = False
    normalized: bool = False
    color: str = "rgb"
    shorter: int | None = None
    size: tuple[int, int] | None = None

    def finish(self) -> tuple[Table, ...]:
        """All that has been said, with the scale that nothing has taken up yet."""
        scale = () if self.normalized else stages.normalize((), (), self.factor)
        return (*self.tables, *scale)


def refuse(step: object, where: str) -> NoReturn:
    """Say why `step` cannot become a stage.

    Raises:
        RecipeError: always.
    """
    name = type(step).__name__
    if name.startswith("Random") or name in TRAINING:
        rule, remedy = "must treat every picture alike", TRAIN_REMEDY
    else:
        rule, remedy = "must be a transform that is known", REMEDIES.get(name, UNKNOWN)
    raise broken(where, rule, Name(step), f"; {remedy}")


class Name:
    """A class in a message: without its options, which may be pages."""

    def __init__(self, step: object) -> None:
        self.step = step

    def __repr__(self) -> str:
        cls = type(self.step)
        root = cls.__module__.partition(".")[0]
        return cls.__name__ if root in ("torchvision", "builtins") else f"{root}.{cls.__name__}"


def attribute(state: State, step: object, name: str) -> Any:
    """The attribute `name` of `step`, which torchvision's class has.

    Raises:
        RecipeError: `step` is of a class of the same name that lacks it.
    """
    try:
        return getattr(step, name)
    except AttributeError:
        rule = f"must have the attribute {name!r}, as torchvision's has"
        raise broken(state.where, rule, Name(step), f"; {UNKNOWN}") from None
