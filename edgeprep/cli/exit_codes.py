"""Exit codes, so that a script can tell a wrong recipe from a model that lost too much."""

from edgeprep.errors import (
    BudgetError,
    EdgePrepError,
    OutputRefused,
    ParityError,
    PreferenceError,
    RecipeError,
    SettingError,
)

__all__ = ["exit_code"]

_CODES: tuple[tuple[type[EdgePrepError], int], ...] = (
    (BudgetError, 3),
    (ParityError, 4),
    (RecipeError, 2),
    (OutputRefused, 2),
    (PreferenceError, 2),
    (SettingError, 2),
)


def exit_code(error: EdgePrepError) -> int:
    """2 for what the caller wrote, 3 over budget, 4 parity failed, 1 for every other failure.

    What the caller wrote are the words of the command, where outputs go among them, the variables
    that stand for words, and the recipe. What is in the files that they name, weights and pictures,
    is not.
    """
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)
