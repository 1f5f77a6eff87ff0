"""Digests of what a step depends on: equal ones stand for the same result."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from edgeprep.interfaces import Backend, Exporter
from edgeprep.recipe import Recipe
from edgeprep.runtime.machine import describe_machine
from edgeprep.stages.chain import Chain
from edgeprep.train.digests import digest_files, digest_tensors, structure_of

__all__ = [
    "digest",
    "digest_chain",
    "digest_code",
    "digest_data",
    "digest_engines",
    "digest_machine",
    "digest_network",
    "digest_program",
]

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


def digest_code(classes: Iterable[type]) -> str:
    """Of all modules of the packages that `classes` come from: what they import late, too.

    What only the packages themselves depend on is not seen.
    """
    roots = {_root(cls.__module__) for cls in classes}
    own = Path(__file__).parents[1]
    return digest(
        program=digest_program(),
        packages={
            str(root): digest_files(sorted(root.rglob("*.py")) if root.is_dir() else [root])
            for root in roots - {None, own}
            if root is not None
        },
    )


def digest_engines(pairs: Iterable[tuple[Exporter, Backend]]) -> str:
    """Of what writes variants and of what runs them: options, code, versions of libraries."""
    known = tuple(pairs)
    # Engines answer for themselves, with how they were built; quantizers only by their modules.
    modules = {name for exporter, _ in known for name in exporter.requires}
    return digest(
        exporters=sorted({repr(exporter) for exporter, _ in known}),
        code=digest_code(type(one) for pair in known for one in pair),
        libraries={name: _version(name.replace("_", "-")) for name in sorted(modules)},
        engines={backend.name: dict(backend.versions()) for _, backend in known},
    )


def digest_machine() -> str:
    """Of the processor and how many of its cores may be used, which speed depends on."""
    facts = describe_machine()
    return digest(**{name: facts[name] for name in ("processor", "machine", "cpus")})


def digest_chain(chain: Chain) -> str:
    """Of what each stage is, of its code, and of what is in the files that stages name."""
    tables, files = chain.packed()
    return digest(
        input=repr(chain.input),
        tables=tables,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        code=digest_code(type(stage) for stage in chain.stages),
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
        fps=recipe.data.fps,
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


def _root(module: str) -> Path | None:
    """The directory of the outermost package around `module`, or its file where it has none."""
    names = module.split(".")
    # Outside of packages may be namespaces, which many distributions share.
    for count in range(1, len(names) + 1):
        known = sys.modules.get(".".join(names[:count]))
        file = getattr(known, "__file__", None)
        if file is not None:
            path = Path(file)
            return path.parent if path.name == "__init__.py" else path
    return None


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _plain(value: object) -> object:
    """What JSON has no form for: tables are mappings, or frozen values that print their fields."""
    return dict(value) if isinstance(value, Mapping) else repr(value)
