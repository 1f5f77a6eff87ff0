"""Factories: the only code that a recipe can name.

`module:function` is a `.py` file beside the recipe where there is one of that name, else an
installed module. A file beside a recipe is loaded under a private name, so that two recipes can
both have a `model.py`; while it loads it can import its neighbours, as a script could.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from edgeprep.errors import RecipeError
from edgeprep.schema import nearest
from edgeprep.schema.foreign import name_fault

__all__ = ["load_factory", "load_module"]

# The files beside some recipe that were imported under their own names, by its directory.
_neighbours: dict[str, Path] = {}


def load_factory(reference: str, directory: Path, where: str) -> Callable[..., object]:
    """The callable that `reference` names.

    Args:
        reference: `module:function`, such as "model:build" or "package.models:resnet50".
        directory: of the recipe; `module.py` in it comes before an installed `module`.
        where: the path of the reference in its recipe, such as "model.factory".

    Raises:
        RecipeError: the reference is not of that form, the module is not there or fails to load
            (its error is chained), or has no such callable.
    """
    module_name, colon, name = reference.partition(":")
    parts = [*module_name.split("."), name]
    if not colon or not all(part.isidentifier() for part in parts):
        raise RecipeError(f"{where}: must have the form 'module:function', got {reference!r}")
    module = load_module(module_name, directory, where)
    found = getattr(module, name, None)
    if found is None:
        callables = [key for key, value in vars(module).items() if callable(value)]
        remedy = nearest(name, callables)
        raise RecipeError(f"{where}: module {module_name!r} has no function {name!r}{remedy}")
    if not callable(found):
        raise RecipeError(f"{where}: {reference!r} must be a function, got {found!r}")
    factory: Callable[..., object] = found
    return factory


def load_module(name: str, directory: Path, where: str) -> ModuleType:
    """The module `name`, of which there may be one of that name in every recipe's directory.

    Args:
        name: such as "data" or "package.models".
        directory: of the recipe; `name.py` in it comes before an installed module. Its code may
            import other files that lie there.
        where: the path of the reference in its recipe, such as "model.factory".

    Raises:
        RecipeError: it is not there, or fails to load (its error is chained).
    """
    path = directory.resolve() / f"{name}.py"
    try:
        return _load_file(path) if path.is_file() else import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error, where) from error
        raise RecipeError(
            f"{where}: no module {name!r} beside the recipe or installed; looked for {str(path)!r}"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error, where) from error


def _failed(name: str, error: BaseException, where: str) -> RecipeError:
    rule = f"module {name!r} must load without an error"
    return RecipeError(f"{where}: {rule}, got {name_fault(error)}")


def _load_file(path: Path) -> ModuleType:
    # The content is part of the name: an edited file is loaded anew, an unchanged one only once,
    # so that two factories of one file share what it caches.
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()
    name = f"_edgeprep_recipe_{digest[:16]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(spec)
    # torch and dataclasses look a class's module up by name, so it has to stay registered.
    sys.modules[name] = module
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """Files in `directory` can be imported inside; `sys.path` is afterwards what it was."""
    for name in [name for name, home in _neighbours.items() if home != directory]:
        # Another recipe's neighbour must not answer to the same name here.
        sys.modules.pop(name, None)
        del _neighbours[name]
    entry, known = str(directory), set(sys.modules)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and directory in Path(file).parents:
                _neighbours.setdefault(name, directory)
