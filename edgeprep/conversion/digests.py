"""Digests of what a step depends on: equal ones stand for the same result."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import torch

from edgeprep.interfaces import Backend, Exporter
from edgeprep.recipe import Recipe
from edgeprep.runtime.machine import describe_machine
from edgeprep.stages.chain import Chain
from edgeprep.train.code_beside import code_beside
from edgeprep.train.digests import digest_files, digest_tensors, structure_of

__all__ = [
    "digest",
    "digest_chain",
    "digest_code",
    "digest_data",
    "digest_engines",
    "digest_machine",
    "digest_model",
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
    return digest(program=digest_program(), packages=_packages(cls.__module__ for cls in classes))


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
    """Of its structure as it prints itself, of every weight, and of buffers that are not saved.

    What else it computes with is for the recipe's model to say, see `digest_model`.
    """
    tensors = {**dict(network.named_buffers()), **network.state_dict()}
    return digest(structure=structure_of(network), weights=digest_tensors(tensors))


def digest_model(recipe: Recipe) -> str:
    """Of what the recipe says of its network, and of the installed code that makes it."""
    return digest(
        table=repr(recipe.model), code=_of_factories([recipe.model.factory], recipe.directory)
    )


def digest_data(recipe: Recipe) -> str:
    """Of what the recipe says of data, of files that it names, of code beside it and factories.

    Beside it is also a folder next to it that the code names. What factories read elsewhere, such
    as data, is not seen.
    """
    tables = {
        name: getattr(recipe.data, name)
        for name in ("calibration", "evaluation", "training", "validation")
    }
    return digest(
        tables=tables,
        fps=recipe.data.fps,
        code=digest_files(code_beside(recipe.directory)),
        factories=_of_factories(_factories(tables.values()), recipe.directory),
        files={name: _listing(table, recipe.directory) for name, table in tables.items() if table},
    )


def _listing(table: Mapping[str, object], directory: Path) -> list[tuple[str, int, int]]:
    """The files below a table's `path`, with their sizes and when they were written."""
    root = directory / str(table.get("path", ""))
    if "path" not in table or not root.exists():
        return []
    files = sorted(path for path in (root, *root.rglob("*")) if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _factories(tables: Iterable[Mapping[str, object] | None]) -> list[str]:
    return [str(table["factory"]) for table in tables if table and "factory" in table]


def _of_factories(references: Iterable[str], directory: Path) -> Mapping[str, str]:
    """Of the installed packages that the modules of factories are in, by their places."""
    modules = {reference.partition(":")[0] for reference in references}
    return _packages(
        name
        for name in modules
        # What lies beside the recipe comes first, and is looked at with all that does. Torch has a
        # version, and thousands of files.
        if not (directory / f"{name}.py").is_file() and name.partition(".")[0] != "torch"
    )


def _packages(modules: Iterable[str]) -> dict[str, str]:
    """Of each of the packages that `modules` are in, but this one, by its place."""
    roots = {_root(module) for module in modules}
    own = Path(__file__).parents[1]
    return {
        str(root): digest_files(sorted(root.rglob("*.py")) if root.is_dir() else [root])
        for root in roots - {None, own}
        if root is not None
    }


def _root(module: str) -> Path | None:
    """The directory of the outermost package around `module`, or its file where it has none."""
    names = module.split(".")
    # Outside of packages may be namespaces, which many distributions share.
    for count in range(1, len(names) + 1):
        file = _file_of(".".join(names[:count]))
        if file is not None:
            path = Path(file)
            return path.parent if path.name == "__init__.py" else path
    return None


def _file_of(module: str) -> str | None:
    """Where `module` lies, loaded or not; None of what has no file, or is not there."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None)
    # It is asked for after all modules around it, none of which has a file: nothing is run.
    with suppress(ImportError, ValueError):
        spec = find_spec(module)
        return spec.origin if spec is not None and spec.has_location else None
    return None


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _plain(value: object) -> object:
    """What JSON has no form for: tables are mappings, or frozen values that print their fields."""
    return dict(value) if isinstance(value, Mapping) else repr(value)
