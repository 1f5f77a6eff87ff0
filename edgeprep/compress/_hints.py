"""Hints: modules of the student that learn to see what modules of the teacher see."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch.nn import functional

from edgeprep.compress.distil import Hint
from edgeprep.errors import RecipeError
from edgeprep.schema import nearest
from edgeprep.train.modules import is_pattern, name_outermost

__all__ = ["Hints", "find_modules", "recorded"]

Seen = dict[str, torch.Tensor]


class Hints:
    """The hints of one distillation, each with an adapter that learns along.

    Args:
        hints: the recipe's.
        students: the modules of the student that they name, by their paths.
        teachers: those of the teacher.
        ours: what `students` gave for one picture, by the same paths.
        theirs: what `teachers` gave for it.
        seed: of the adapters.

    Attributes:
        adapters: one a hint.

    Raises:
        RecipeError: the outputs of two modules cannot be compared.
    """

    def __init__(
        self,
        hints: Sequence[Hint],
        students: Mapping[str, torch.nn.Module],
        teachers: Mapping[str, torch.nn.Module],
        ours: Seen,
        theirs: Seen,
        *,
        seed: int = 0,
    ) -> None:
        self._hints = tuple(hints)
        self._students = students
        self._teachers = teachers
        # As a seed gives the same ones every time, a killed training goes on as it began.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.adapters = tuple(
                _adapter(
                    _seen(ours, hint.student, f"hints[{index}].student"),
                    _seen(theirs, hint.teacher, f"hints[{index}].teacher"),
                    index,
                )
                for index, hint in enumerate(self._hints)
            )

    @contextmanager
    def watching(self) -> Iterator[tuple[Seen, Seen]]:
        """What the modules of both networks give inside the block, by their paths."""
        with recorded(self._students) as ours, recorded(self._teachers) as theirs:
            yield ours, theirs

    def loss(self, ours: Seen, theirs: Seen) -> torch.Tensor:
        """The weighted sum of the mean squared differences."""
        losses = [
            hint.weight * _difference(adapter(ours[hint.student]), theirs[hint.teacher])
            for hint, adapter in zip(self._hints, self.adapters, strict=True)
        ]
        return torch.stack(losses).sum()


def find_modules(
    network: torch.nn.Module, hints: Sequence[Hint], whose: Literal["student", "teacher"]
) -> dict[str, torch.nn.Module]:
    """The modules that hints name in one of the two networks, by their paths.

    Raises:
        RecipeError: there is no such module; the message names the nearest one.
    """
    modules = {path: module for path, module in network.named_modules() if path}
    found = {}
    for index, hint in enumerate(hints):
        path = hint.student if whose == "student" else hint.teacher
        if path not in modules:
            rule = f"must be the path of a module of the {whose}"
            rule += ", and no pattern" * is_pattern(path)
            remedy = nearest(path, modules) or f"; known here: {name_outermost(modules)}"
            raise RecipeError(f"distil.hints[{index}].{whose}: {rule}, got {path!r}{remedy}")
        found[path] = modules[path]
    return found


@contextmanager
def recorded(modules: Mapping[str, torch.nn.Module]) -> Iterator[Seen]:
    """What `modules` give inside the block, by their names; the last time each was called."""
    seen: Seen = {}

    def hook(path: str) -> Any:
        def record(_module: torch.nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, torch.Tensor):
                # A copy: what comes next may write into it, as ReLU(inplace=True) does.
                seen[path] = output.clone()

        return record

    handles = [module.register_forward_hook(hook(path)) for path, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _seen(seen: Seen, path: str, where: str) -> torch.Tensor:
    if path not in seen:
        rule = "must be a module that is called, and returns one tensor"
        raise RecipeError(f"distil.{where}: {rule}, got {path!r}, which does not")
    return seen[path]


def _adapter(ours: torch.Tensor, theirs: torch.Tensor, index: int) -> torch.nn.Module:
    if ours.ndim != theirs.ndim or ours.ndim not in (2, 3, 4):
        rule = "must join outputs of two, three or four axes, as many on both sides"
        got = f"{tuple(ours.shape)} and {tuple(theirs.shape)}"
        raise RecipeError(f"distil.hints[{index}]: {rule}, got {got}")
    if len(ours) != len(theirs):
        # As where the frames of a clip go through a layer together.
        rule = "must join outputs with as many rows for a sample on both sides"
        got = f"{tuple(ours.shape)} and {tuple(theirs.shape)}"
        raise RecipeError(f"distil.hints[{index}]: {rule}, got {got}")
    if ours.ndim == 4:
        return torch.nn.Conv2d(ours.shape[1], theirs.shape[1], 1)
    return torch.nn.Linear(ours.shape[-1], theirs.shape[-1])


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """The mean squared difference; ours are brought to the height and width of theirs."""
    if ours.ndim == 4 and ours.shape[2:] != theirs.shape[2:]:
        ours = functional.interpolate(ours, theirs.shape[2:], mode="bilinear", align_corners=False)
    elif ours.ndim == 3 and ours.shape[1] != theirs.shape[1]:
        tokens = functional.interpolate(ours.transpose(1, 2), theirs.shape[1], mode="linear")
        ours = tokens.transpose(1, 2)
    return functional.mse_loss(ours.float(), theirs.float())
