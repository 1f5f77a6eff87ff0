"""Checks of a task: what the outputs of a network mean."""

import json
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import PluginError, RecipeError, ShapeError
from edgeprep.geometry import Affine, Frame
from edgeprep.interfaces import BlendKind, Objective, Task
from edgeprep.marks import Mark, Overlay
from edgeprep.metrics import check_metrics
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import ConformanceError, forbid_errors, require, require_value
from edgeprep.truths import TruthKind

__all__ = ["check_task"]


def check_task(
    task: Task,
    outputs: Mapping[str, NDArray[Any]],
    *others: Mapping[str, NDArray[Any]],
    frame: Frame | None = None,
) -> None:
    """Check what sessions and commands rely on, on outputs that a network may give.

    Where torch is installed, the objective is imported.

    Args:
        task: the value to check.
        outputs: each output by its name, for one picture.
        others: outputs for other pictures: one that differs shows whether a task remembers.
        frame: of the pictures, for a task that is spatial; None: 48×64 pixels, seen as they are.
            Results in other pictures must say so, by what `to_json` gives.

    Raises:
        ConformanceError: a rule is broken.
    """
    what = require_value("task", task)
    with forbid_errors(f"{what}: check_outputs() must accept what is decoded here"):
        task.check_outputs(_specs(outputs))
    _check_refusal(task, what)
    _check_attributes(task, what)
    if task.spatial and frame is None:
        frame = Frame.whole(48, 64)
    first = _decode(task, outputs, frame, what)
    said = _to_json(first, what)
    for other in others:
        _decode(task, other, frame, what)
    again = _to_json(_decode(task, outputs, frame, what), what)
    require(
        said == again == _to_json(first, what),
        f"{what}: decode() must give the same for the same outputs, got another result after other "
        "pictures",
    )
    _check_frozen(first, what)
    if task.spatial and frame is not None:
        _check_places(task, outputs, frame, said, what)
    _check_marks(first, frame, what)
    _check_compared(task, outputs, what)
    _check_decided(task, outputs, what)
    _check_tiling(task, outputs, what)
    _check_blending(task, first, what)


def _specs(outputs: Mapping[str, NDArray[Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, shape=array.shape, dtype=array.dtype.name)  # type: ignore[arg-type]  # numpy's name is ours
        for name, array in outputs.items()
    )


def _check_refusal(task: Task, what: str) -> None:
    rule = f"{what}: check_outputs() of a network without outputs must raise RecipeError"
    try:
        task.check_outputs(())
    except RecipeError:
        return
    except Exception as fault:
        raise ConformanceError(f"{rule}, got {in_one_line(fault)}") from fault
    raise ConformanceError(f"{rule}, got no error")


def _decode(task: Task, outputs: Mapping[str, NDArray[Any]], frame: Frame | None, what: str) -> Any:
    given = tuple(array.copy() for array in outputs.values())
    for array in given:
        array.flags.writeable = False
    with forbid_errors(f"{what}: decode() must work on outputs that are read-only"):
        return task.decode(given, frame)


def _to_json(result: Any, what: str) -> str:
    with forbid_errors(f"{what}: a result must have a to_json() that gives what JSON can hold"):
        content = result.to_json()
        text = json.dumps(content, allow_nan=False)
    require(
        isinstance(content, Mapping),
        f"{what}: to_json() of a result must give a mapping, got {content!r}",
    )
    return text


def _check_frozen(result: Any, what: str) -> None:
    public = [name for name in dir(result) if not name.startswith("_")]
    for name in (*public, "a_new_attribute"):
        try:
            setattr(result, name, None)
        except (AttributeError, TypeError):
            continue
        raise ConformanceError(f"{what}: a result must be frozen, got one whose {name!r} changed")


def _check_attributes(task: Task, what: str) -> None:
    """What is looked up by name, long after a training or a conversion has begun."""
    try:
        check_metrics(task)
    except PluginError as fault:
        raise ConformanceError(str(fault)) from fault
    kinds = (None, *get_args(TruthKind))
    known = ", ".join(map(repr, kinds))
    require(task.truth in kinds, f"{what}: truth must be among {known}, got {task.truth!r}")
    if not task.objective:
        return
    module, _, name = task.objective.partition(":")
    rule = f"{what}: objective must be 'module:Class' of an Objective"
    require(module and name, f"{rule}, got {task.objective!r}")
    if find_spec("torch") is not None:
        with forbid_errors(rule):
            found = getattr(import_module(module), name)
        fits = isinstance(found, type) and issubclass(found, Objective)
        require(fits, f"{rule}, got {task.objective!r}, which is {found!r}")


def _check_compared(task: Task, outputs: Mapping[str, NDArray[Any]], what: str) -> None:
    """What decides whether a variant computes the right numbers."""
    with forbid_errors(f"{what}: compared() must work on what is decoded here"):
        parts = task.compared(tuple(outputs.values()))
    for number, (name, output) in enumerate(outputs.items()):
        count = sum(part.values.size for part in parts if part.output == number)
        rule = f"{what}: compared() must give all numbers of output {name!r}, {output.size}"
        require(count >= output.size, f"{rule}, got {count}")


def _check_decided(task: Task, outputs: Mapping[str, NDArray[Any]], what: str) -> None:
    """What decides which samples become golden ones."""
    with forbid_errors(f"{what}: decided() must work on what is decoded here"):
        margin = task.decided(tuple(outputs.values()))
    rule = f"{what}: decided() must give None, or a number from 0"
    require(margin is None or (isinstance(margin, float) and margin >= 0), f"{rule}, got {margin}")


def _check_places(
    task: Task, outputs: Mapping[str, NDArray[Any]], frame: Frame, said: str, what: str
) -> None:
    """Results lie in the picture that came in, whatever the network saw of it."""
    rule = f"{what}: decode() without a frame must raise ShapeError, as the task is spatial"
    try:
        task.decode(tuple(outputs.values()))
    except ShapeError:
        pass
    except Exception as fault:
        raise ConformanceError(f"{rule}, got {in_one_line(fault)}") from fault
    else:
        raise ConformanceError(f"{rule}, got no error")
    height, width = frame.height, frame.width
    # As a letterbox sees a picture of twelve times the size, in three quarters of its own.
    away = Affine.scaled(16.0, 16.0, -2.0 * width, -2.0 * height)
    turn = Affine((0.0, -1.0, float(height)), (1.0, 0.0, 0.0))
    for kind, other in (
        ("larger and has a border", frame.behind(away, 12 * height, 12 * width)),
        ("turned by a quarter", frame.behind(turn, width, height)),
    ):
        require(
            _to_json(_decode(task, outputs, other, what), what) != said,
            f"{what}: results must lie in the picture that came in, got the same for one that is "
            f"{kind}",
        )


def _check_blending(task: Task, result: Any, what: str) -> None:
    """Results are taken apart and made again in ensembles."""
    blending = task.blending
    if blending is None:
        return
    kinds = get_args(BlendKind)
    known = ", ".join(map(repr, kinds))
    rule = f"{what}: kind of its blending must be among {known}"
    require(blending.kind in kinds, f"{rule}, got {blending.kind!r}")
    with forbid_errors(f"{what}: its blending must take a result apart and make it again"):
        again = blending.give(blending.take(result))
    require(
        type(again) is type(result),
        f"{what}: its blending must give results like decode(), of {type(result).__name__!r}, "
        f"got {type(again).__name__!r}",
    )


def _check_marks(result: Any, frame: Frame | None, what: str) -> None:
    if not hasattr(result, "marks"):
        return
    with forbid_errors(f"{what}: marks() of a result must give marks"):
        marks = tuple(result.marks())
    for mark in marks:
        require(
            isinstance(mark, Mark),
            f"{what}: marks() of a result must give marks, got {type(mark).__name__!r}",
        )
        if frame is not None and isinstance(mark, Overlay):
            size = (frame.height, frame.width)
            shapes = (mark.colors.shape, mark.opacity.shape)
            require(
                shapes == ((*size, 3), size),
                f"{what}: an overlay must have the size of its picture, {size}, got {shapes}",
            )


def _check_tiling(task: Task, outputs: Mapping[str, NDArray[Any]], what: str) -> None:
    tiling = task.tiling
    if tiling is None:
        return
    maps = np.asarray(next(iter(outputs.values()))[0], np.float32)
    rule = f"{what}: levels() of its tiling must give uint8 (H, W, C) of maps (C, H, W)"
    with forbid_errors(rule):
        levels = tiling.levels(maps)
    fits = levels.ndim == 3 and levels.shape[:2] == maps.shape[1:] and levels.dtype == np.uint8
    require(fits, f"{rule}, got {levels.dtype} {levels.shape} of {maps.shape}")
    with forbid_errors(f"{what}: result() of its tiling must make a result of these"):
        result = tiling.result(levels)
    _to_json(result, what)
