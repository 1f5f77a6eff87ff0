"""Vision models to the edge: preprocessing inside, accuracy kept, the fastest path measured."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeprep.collector import paused_collector
from edgeprep.version import __version__

if TYPE_CHECKING:
    from edgeprep.bundle import Bundle
    from edgeprep.conversion import convert
    from edgeprep.ensembles import ensemble
    from edgeprep.errors import EdgePrepError
    from edgeprep.hookspecs import hookimpl
    from edgeprep.recipe import Recipe, load_recipe
    from edgeprep.runtime import Recheck, Session, open  # noqa: A004 -- `edgeprep.open` is the public name
    from edgeprep.workers import Limits

__all__ = [
    "Bundle",
    "EdgePrepError",
    "Limits",
    "Recheck",
    "Recipe",
    "Session",
    "__version__",
    "convert",
    "ensemble",
    "hookimpl",
    "load_recipe",
    "open",
]

# Imported when first used: a device that only opens bundles never pays for the rest.
_HOME = {
    "Bundle": "edgeprep.bundle",
    "EdgePrepError": "edgeprep.errors",
    "Limits": "edgeprep.workers",
    "Recheck": "edgeprep.runtime",
    "Recipe": "edgeprep.recipe",
    "Session": "edgeprep.runtime",
    "convert": "edgeprep.conversion",
    "ensemble": "edgeprep.ensembles",
    "hookimpl": "edgeprep.hookspecs",
    "load_recipe": "edgeprep.recipe",
    "open": "edgeprep.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgeprep' has no attribute {name!r}")
    with paused_collector():
        value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
