"""Exit codes, so that a script can tell a wrong recipe from a model that lost too much."""

from edgeprep.errors import (
    BudgetError,
    EdgePrepError,
    OutputExists,
    ParityError,
    PreferenceError,
    RecipeError,
)

__all__ = ["exit_code"]

_CODES: tuple[tuple[type[EdgePrepError], int], ...] = (
    (BudgetError, 3),
    (ParityError, 4),
    (RecipeError, 2),
    (OutputExists, 2),
    (PreferenceError, 2),
)


def exit_code(error: EdgePrepError) -> int:
    """2 for what the caller wrote, 3 over budget, 4 parity failed, 1 for every other failure."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)
