"""Which models there are, and where they lie."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from edgeprep.errors import RecipeError, StorageError, UnknownName
from edgeprep.recipe import Recipe, load_recipe
from edgeprep.registry.entry_points import list_entry_points
from edgeprep.schema import nearest_or_all
from edgeprep.zoo.card import Card

__all__ = ["RECIPE", "ZooModel", "find_model", "zoo_models"]

RECIPE = "recipe.toml"
_GROUP = "edgeprep.zoo"
# Of a checkout: what becomes the distribution edgeprep-zoo.
_CHECKOUT = Path(__file__).resolve().parents[2] / "model_zoo"


@dataclass(frozen=True)
class ZooModel:
    """One folder of the zoo.

    Attributes:
        directory: where it lies.
    """

    directory: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.directory.resolve().name

    @cached_property
    def recipe(self) -> Recipe:
        """Its recipe.

        Raises:
            RecipeError: it breaks a rule.
        """
        return load_recipe(self.directory / RECIPE)

    @cached_property
    def card(self) -> Card:
        """Its card.

        Raises:
            StorageError: there is none.
        """
        return Card.read(self.directory)

    @property
    def weights(self) -> Path:
        """The file of its weights.

        Raises:
            RecipeError: the recipe breaks a rule, or names none.
        """
        if self.recipe.model.weights is None:
            raise RecipeError("model.weights: required key is missing; a model of a zoo has some")
        return self.directory / self.recipe.model.weights

    @property
    def metric(self) -> str:
        """What it is scored by: the metric of its budget.

        Raises:
            RecipeError: the recipe breaks a rule, or has no budget.
        """
        if self.recipe.budget is None:
            rule = "budget: required table is missing"
            raise RecipeError(f"{rule}; it names what a model of a zoo is scored by")
        return self.recipe.budget.metric

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep zoo list --format json` prints it.

        Raises:
            RecipeError: the recipe breaks a rule.
            StorageError: there is no card, or there are no weights.
        """
        try:
            size = self.weights.stat().st_size
        except OSError as error:
            rule = f"{self.weights}: must be a file that can be read"
            raise StorageError(f"{rule}, got {error.strerror!r}") from error
        return {
            "name": self.name,
            "task": self.recipe.task["use"],
            "size_bytes": size,
            "metric": self.metric,
            "value": self.card.number(self.metric),
            "directory": str(self.directory),
        }


def zoo_models() -> tuple[ZooModel, ...]:
    """All models, by their names: those of the checkout, then those that packages offer.

    Where two have one name, the first one counts. No package is imported; one that is not there is
    left out, with a warning of the logger "edgeprep".
    """
    found: dict[str, ZooModel] = {}
    for home in _homes():
        for path in sorted(home.glob(f"*/{RECIPE}")):
            found.setdefault(path.parent.name, ZooModel(path.parent))
    return tuple(found[name] for name in sorted(found))


def find_model(name: str | PathLike[str]) -> ZooModel:
    """The model called `name`; or that in a folder, such as a copy of one.

    Args:
        name: what `zoo_models` lists; or the path of a folder, which has a separator in it.

    Raises:
        UnknownName: there is none of that name.
        StorageError: the folder is none of a model.
    """
    text = fspath(name)
    if text in (".", "..") or Path(text).name != text:
        if not (Path(text) / RECIPE).is_file():
            raise StorageError(f"{text}: must be the folder of a model, got none with {RECIPE!r}")
        return ZooModel(Path(text))
    models = {model.name: model for model in zoo_models()}
    if text not in models:
        remedy = nearest_or_all(text, models) if models else "; pip install edgeprep-zoo"
        raise UnknownName(f"zoo: must be the name of a model, got {text!r}{remedy}")
    return models[text]


def _homes() -> Iterator[Path]:
    # In the folder of installed packages some other one may be called model_zoo.
    if (_CHECKOUT / "pyproject.toml").is_file():
        yield _CHECKOUT
    for entry in list_entry_points(_GROUP):
        place = _place_of(entry.value)
        if place is not None:
            yield place
            continue
        logging.getLogger("edgeprep").warning(
            "zoo %r of %s left out: %r must be a package that is installed in a folder, got none",
            entry.name,
            entry.distribution,
            entry.value,
        )


def _place_of(package: str) -> Path | None:
    """The folder of an installed package, of which nothing is imported."""
    top, *below = package.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    places = None if spec is None else spec.submodule_search_locations
    place = Path(next(iter(places)), *below) if places else None
    return place if place is not None and place.is_dir() else None
