"""What recipes of every kind are held to."""

import re
from collections.abc import Mapping

from edgeprep import schema
from edgeprep.errors import RecipeError

__all__ = ["NAME", "check_data", "check_name", "check_use"]

NAME = "^[a-z0-9][a-z0-9-]*$"


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a bundle."""
    if not re.fullmatch(NAME, name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        rule = "must be of lower-case letters, digits and hyphens, the first of them no hyphen"
        remedy = f"; such as {near!r}" if near else ""
        raise RecipeError(f"name: {rule}, got {schema.show(name)}{remedy}")


def check_use(where: str, table: Mapping[str, object]) -> None:
    """Refuse a table that names nothing."""
    if "use" not in table:
        raise RecipeError(f"{where}.use: required key is missing")
    if not isinstance(table["use"], str):
        raise RecipeError(f"{where}.use: must be a string, got {schema.show(table['use'])}")


def check_data(where: str, table: Mapping[str, object] | None) -> None:
    """Refuse data that no reader and no code gives, or both."""
    if table is not None and ("use" in table) == ("factory" in table):
        got = "both" if "use" in table else "neither"
        raise RecipeError(f"{where}: must have one of 'use' and 'factory', got {got}")
