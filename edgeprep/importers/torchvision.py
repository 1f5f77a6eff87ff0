"""Preprocessing written with torchvision's transforms, v1 or v2, or given by its weights."""

from collections.abc import Iterable
from typing import Literal

from edgeprep.importers.stages import Table
from edgeprep.importers.torchvision_state import Kind, State, refuse
from edgeprep.importers.torchvision_steps import STEPS

__all__ = ["from_torchvision"]

# Their names: the transforms that they hold follow each other.
CONTAINERS = ("Compose", "Sequential")
# What those take that change what a picture is, or can take one kind alone; None for both.
TAKES: dict[str, Kind | None] = {
    "ConvertImageDtype": "tensor",
    "MaybePILToTensor": None,
    "MaybeToTensor": None,
    "Normalize": "tensor",
    "PILToTensor": "pil",
    "ToDtype": "tensor",
    "ToImage": None,
    "ToPILImage": "tensor",
    "ToTensor": "pil",
}


def from_torchvision(
    transform: object, *, pictures: Literal["pil", "tensor"] | None = None
) -> tuple[Table, ...]:
    """What a transform does to a picture, as tables of a recipe.

    Known are the classes that prepare every picture alike, by their names and public attributes;
    torchvision is not imported. Pictures that arrive are RGB.

    Args:
        transform: a `Compose` of torchvision or timm, `weights.transforms()`, or one transform.
        pictures: what it is called with, a PIL image or a tensor of uint8; needed only where a
            resize does not antialias tensors and no other transform tells which it gets.

    Raises:
        RecipeError: a transform varies pictures for training, is not known, or does what no stage
            does; the message starts with its place, such as ``transforms[2]``.

    Source: torchvision 0.28 (tests/importers/test_from_torchvision.py).
    """
    steps = list(_flatten(transform, "transforms" if _is_container(transform) else "transform"))
    state = State(kind=pictures or _kind(step for _, step in steps))
    for where, step in steps:
        read = STEPS.get(type(step).__name__)
        if read is None or not _is_torchvision(step):
            refuse(step, where)
        else:
            state.where = where
            read(state, step)
    return state.finish()


def _is_container(step: object) -> bool:
    return type(step).__name__ in CONTAINERS


def _is_torchvision(step: object) -> bool:
    # Other libraries have classes of the same names, whose attributes mean something else.
    return type(step).__module__.partition(".")[0] not in ("albumentations", "kornia", "monai")


def _flatten(step: object, where: str) -> Iterable[tuple[str, object]]:
    """Each transform with its place, those inside containers too."""
    if not _is_container(step):
        yield where, step
        return
    inside = getattr(step, "transforms", step)
    if not isinstance(inside, Iterable):
        refuse(step, where)
        return
    for index, inner in enumerate(inside):
        path = f"{where}[{index}]"
        yield from _flatten(inner, f"{path}.transforms" if _is_container(inner) else path)


def _kind(steps: Iterable[object]) -> Kind | None:
    """What must arrive, by the first transform that tells."""
    names = (type(step).__name__ for step in steps)
    return next((TAKES[name] for name in names if name in TAKES), None)
