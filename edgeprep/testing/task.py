"""Checks of a task: what the outputs of a network mean."""

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Frame
from edgeprep.interfaces import Task
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import ConformanceError, forbid_errors, require, require_value

__all__ = ["check_task"]


def check_task(
    task: Task,
    outputs: Mapping[str, NDArray[Any]],
    *others: Mapping[str, NDArray[Any]],
    frame: Frame | None = None,
) -> None:
    """Check what sessions and commands rely on, on outputs that a network may give.

    Args:
        task: the value to check.
        outputs: each output by its name, for one picture.
        others: outputs for other pictures: one that differs shows whether a task remembers.
        frame: of the pictures, for a task that is spatial; None: 48×64 pixels, seen as they are.

    Raises:
        ConformanceError: a rule is broken.
    """
    what = require_value("task", task)
    with forbid_errors(f"{what}: check_outputs() must accept what is decoded here"):
        task.check_outputs(_specs(outputs))
    _check_refusal(task, what)
    if task.spatial and frame is None:
        frame = Frame(48, 64, (48, 64), (IDENTITY,))
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
