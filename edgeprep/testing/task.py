"""Checks of a task: what outputs mean, for one frame as for many."""

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Task
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import ConformanceError, forbid_errors, require, require_value

__all__ = ["check_task"]

Outputs = tuple[NDArray[Any], ...]


def check_task(task: Task, outputs: Mapping[str, NDArray[Any]]) -> None:
    """Check what sessions and commands rely on, on outputs that a network may give.

    Args:
        task: the value to check.
        outputs: each output by its name, for one frame or more: the first axis is the frame. A
            few frames that differ show more than one.

    Raises:
        ConformanceError: a rule is broken.
    """
    what = require_value("task", task)
    arrays = tuple(outputs.values())
    frames = {len(array) for array in arrays}
    require(
        len(frames) == 1 and 0 not in frames,
        f"{what}: must be checked on outputs for the same frames, got {sorted(frames)} of them",
    )
    with forbid_errors(f"{what}: check_outputs() must accept what is decoded here"):
        task.check_outputs(_specs(outputs))
    _check_refusal(task, what)
    whole = _decode(task, arrays, what)
    for frame in range(len(whole)):
        alone = _decode(task, tuple(array[frame : frame + 1] for array in arrays), what)
        require(
            _to_json(alone[0], what) == _to_json(whole[frame], what),
            f"{what}: decode() must treat each frame alone, got another result for frame {frame}",
        )
        _check_frozen(alone[0], what)


def _specs(outputs: Mapping[str, NDArray[Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, shape=(1, *array.shape[1:]), dtype=array.dtype.name)  # type: ignore[arg-type]  # numpy's name is ours
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


def _decode(task: Task, arrays: Outputs, what: str) -> tuple[Any, ...]:
    given = tuple(array.copy() for array in arrays)
    for array in given:
        array.flags.writeable = False
    with forbid_errors(f"{what}: decode() must work on outputs that are read-only"):
        results = task.decode(given)
    frames = len(arrays[0])
    require(
        isinstance(results, tuple) and len(results) == frames,
        f"{what}: decode() must give a tuple of one result a frame, {frames} here, got {results!r}",
    )
    return results


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
