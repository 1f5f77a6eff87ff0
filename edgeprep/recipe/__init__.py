"""What a person writes: a TOML file, as frozen values.

Only the frame is known here. Stages, tasks, data, compression steps and the exporters' own options
stay tables, which the rooms that own them build with `edgeprep.schema`.
"""

from edgeprep.recipe.budget import BudgetTable, QuantizeTable, Repair
from edgeprep.recipe.ensemble import (
    EnsembleBudget,
    EnsembleData,
    EnsembleRecipe,
    EnsembleText,
    MemberTable,
    is_ensemble_file,
    load_ensemble_recipe,
)
from edgeprep.recipe.recipe import Recipe, RecipeText, load_recipe
from edgeprep.recipe.search import SearchTable
from edgeprep.recipe.tables import (
    DataTable,
    HeadTable,
    InputTable,
    ModelTable,
    TargetTable,
    UseTable,
)
from edgeprep.recipe.train import TrainTable

__all__ = [
    "BudgetTable",
    "DataTable",
    "EnsembleBudget",
    "EnsembleData",
    "EnsembleRecipe",
    "EnsembleText",
    "HeadTable",
    "InputTable",
    "MemberTable",
    "ModelTable",
    "QuantizeTable",
    "Recipe",
    "RecipeText",
    "Repair",
    "SearchTable",
    "TargetTable",
    "TrainTable",
    "UseTable",
    "is_ensemble_file",
    "load_ensemble_recipe",
    "load_recipe",
]
