"""The seam between a task and what training makes small for it."""

from importlib import import_module

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Objective, Task
from edgeprep.recipe import TrainTable

__all__ = ["check_imitation", "objective_for"]


def objective_for(task: Task, settings: TrainTable) -> Objective:
    """The task's own loss: an instance of the class that its `objective` names.

    Args:
        task: its class attribute `objective` is `module:Class`; the class is called with the task
            and the settings, and imported now, so that a task stays light.
        settings: `[train]`.

    Raises:
        RecipeError: the task has none.
    """
    if not task.objective:
        remedy = "use a task that has, or a compression step that brings its own"
        raise RecipeError(
            f"task.use: must be a task that says what is learned, got {task.name!r}; {remedy}"
        )
    module, _, name = task.objective.partition(":")
    objective: Objective = getattr(import_module(module), name)(task, settings)
    return objective


def check_imitation(objective: Objective, task: Task) -> None:
    """Refuse a task that networks cannot be distilled for.

    Raises:
        RecipeError: `objective`, that of `task`, does not say how outputs are compared.
    """
    if type(objective).imitation is Objective.imitation:
        rule = "must be a task that networks can be distilled for"
        remedy = "its objective has no method 'imitation'"
        raise RecipeError(f"task.use: {rule}, got {task.name!r}; {remedy}")
