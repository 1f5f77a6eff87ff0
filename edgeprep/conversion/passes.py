"""What the recipe's passes need, looked for before any work: some of it comes hours from now."""

from collections.abc import Callable
from typing import TypeVar

from edgeprep.errors import EdgePrepError, RecipeError, StorageError
from edgeprep.files import open_regular
from edgeprep.interfaces import Pass, Task
from edgeprep.recipe import Recipe
from edgeprep.registry import Registry
from edgeprep.schema.foreign import name_fault
from edgeprep.stages.chain import Chain
from edgeprep.train import check_imitation, objective_for, open_training

__all__ = ["check_passes", "place_fault"]

T = TypeVar("T")


def check_passes(
    passes: tuple[Pass, ...], recipe: Recipe, *, chain: Chain, task: Task, registry: Registry
) -> None:
    """Refuse a recipe that has not what its passes cannot do without.

    Args:
        passes: those of `recipe`, in their order.
        recipe: its data are opened, and no more of them read than a first picture.
        chain: its preprocessing.
        task: its task.
        registry: where augmentation stages are looked up.

    Raises:
        RecipeError: data are not named, a file is not there, or the task is none that networks can
            be distilled for.
        DataError: the training data are not there.
    """
    learning = False
    for index, step in enumerate(passes):
        where = f"compress[{index}]"
        needs = _ask(step, where, "say what it needs", step.needs)
        for name in ("calibration", "training"):
            if name in needs and getattr(recipe.data, name) is None:
                rule = f"pass {step.name!r}, as it is set, needs data.{name}"
                remedy = f"name pictures there, or leave {step.name!r} out"
                raise RecipeError(f"{where}: {rule}, got none; {remedy}")
        if "imitation" in needs:
            check_imitation(objective_for(task, recipe.train), task)
        learning = learning or "training" in needs
        _check_files(step, recipe, where)
    if learning:
        open_training(recipe, chain=chain, task=task, registry=registry)


def place_fault(fault: str, step: Pass, where: str) -> str | None:
    """`fault` of a pass with its place in the recipe; None where it does not begin with its name.

    A pass does not know which of the recipe's it is.
    """
    if not fault.startswith((f"{step.name}.", f"{step.name}: ")):
        return None
    return f"{where}{fault.removeprefix(step.name)}"


def _check_files(step: Pass, recipe: Recipe, where: str) -> None:
    """Look for the files of a pass."""
    for file in _ask(step, where, "name its files", lambda: step.files(recipe.directory)):
        try:
            with open_regular(file):
                pass
        except StorageError as error:
            raise RecipeError(f"{where}: {error}") from error


def _ask(step: Pass, where: str, what: str, question: Callable[[], T]) -> T:
    try:
        return question()
    except EdgePrepError as error:
        placed = place_fault(str(error), step, where)
        raise RecipeError(placed or f"{where}: {error}") from error
    except Exception as error:  # a pass is a plugin's code and may raise anything
        rule = f"pass {step.name!r} must {what}"
        raise RecipeError(f"{where}: {rule}, got {name_fault(error)}") from error
