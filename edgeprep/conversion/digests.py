"""Digests of what a step depends on: equal ones stand for the same result."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from edgeprep.recipe import Recipe
from edgeprep.train.digests import digest_files, digest_tensors, structure_of

__all__ = ["digest", "digest_data", "digest_network", "digest_program"]

# What computes in steps that are kept.
_DISTRIBUTIONS = ("edgeprep", "lightning-fabric", "numpy", "torch", "torch-pruning")


def digest(**parts: object) -> str:
    """One digest of all `parts`, which are plain values, in hexadecimal."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def digest_program() -> str:
    """Of edgeprep's own code and the versions of the libraries that train and prune."""
    root = Path(__file__).parents[1]
    return digest(
        files=digest_files(sorted(root.rglob("*.py"))),
        versions={name: _version(name) for name in _DISTRIBUTIONS},
    )


def digest_network(network: torch.nn.Module) -> str:
    """Of its structure as it prints itself, and of every weight."""
    return digest(structure=structure_of(network), weights=digest_tensors(network.state_dict()))


def digest_data(recipe: Recipe) -> str:
    """Of what the recipe says of data, the files that it names, and the code beside it.

    What factories read elsewhere is not seen.
    """
    tables = {
        name: getattr(recipe.data, name)
        for name in ("calibration", "evaluation", "training", "validation")
    }
    return digest(
        tables=tables,
        code=digest_files(sorted(recipe.directory.glob("*.py"))),
        files={name: _listing(table, recipe.directory) for name, table in tables.items() if table},
    )


def _listing(table: Mapping[str, object], directory: Path) -> list[tuple[str, int, int]]:
    """The files below a table's `path`, with their sizes and when they were written."""
    root = directory / str(table.get("path", ""))
    if "path" not in table or not root.exists():
        return []
    files = sorted(path for path in (root, *root.rglob("*")) if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _plain(value: object) -> object:
    """What JSON has no form for: tables are mappings, or frozen values that print their fields."""
    return dict(value) if isinstance(value, Mapping) else repr(value)
