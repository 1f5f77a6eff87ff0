"""Checks of a plugin as a whole: that it is accepted, that it is light, and that it is found."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from edgeprep.errors import PluginError
from edgeprep.registry import Registry
from edgeprep.registry.installed import GROUP
from edgeprep.testing.rules import ConformanceError, forbid_errors, require

__all__ = ["check_plugin"]


def check_plugin(module: str | ModuleType) -> None:
    """Check that the registry takes in all of a plugin, finds it, and lists it at no cost.

    Args:
        module: what its entry point names: the module, or its name, such as "edgeprep_example".

    Raises:
        ConformanceError: the registry would leave it out, listing it imports a library that one of
            its classes `requires`, or no entry point of the group `edgeprep` names it.
    """
    name = module if isinstance(module, str) else module.__name__
    with forbid_errors(f"plugin {name!r}: must be importable"):
        plugin = import_module(name)
    registry = Registry(installed=False)
    try:
        registry.register(name, plugin)
    except PluginError as fault:
        raise ConformanceError(str(fault)) from fault
    kinds = (registry.classes("pass"), registry.classes("exporter"), registry.classes("backend"))
    required = {
        library.partition(".")[0]
        for classes in kinds
        for cls in classes
        for entry in cls.requires
        for library in entry.split(" or ")
    }
    early = sorted({"torch", *required} & _added_by(name))
    require(
        not early,
        f"plugin {name!r}: listing it must import no library that its classes require, "
        f"got {', '.join(early)}; import it inside the methods that use it",
    )
    _check_found(name)


def _check_found(module: str) -> None:
    named = sorted({entry.module for entry in entry_points(group=GROUP)})
    require(
        module in named,
        f"plugin {module!r}: must be named by an entry point of the group {GROUP!r}, "
        f"got {', '.join(named) or 'none'}; add it to pyproject.toml and install it",
    )


def _added_by(module: str) -> set[str]:
    """The top-level modules that listing `module` adds to those that edgeprep itself needs."""
    script = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from importlib import import_module; from edgeprep.registry import Registry\n"
        "registry = Registry(installed=False); registry.plugins(); before = {*sys.modules}\n"
        f"registry.register({module!r}, import_module({module!r}))\n"
        "print(*sys.modules.keys() - before)"
    )
    done = subprocess.run(  # noqa: S603 -- this interpreter, on a module that is trusted already
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())
