"""Checks of a plugin as a whole: that it is accepted, and that it is light."""

import subprocess
import sys
from importlib import import_module
from types import ModuleType

from edgeprep.errors import PluginError
from edgeprep.registry import Registry
from edgeprep.testing.rules import ConformanceError, forbid_errors, require

__all__ = ["check_plugin"]


def check_plugin(module: str | ModuleType) -> None:
    """Check that the registry takes in all of a plugin, and that listing it costs nothing.

    Args:
        module: what its entry point names: the module, or its name, such as "edgeprep_example".

    Raises:
        ConformanceError: the registry would leave it out, or importing it imports a library that
            one of its classes `requires`.
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
    early = sorted({"torch", *required} & _loaded_by(name))
    require(
        not early,
        f"plugin {name!r}: importing it must import no heavy library, got {', '.join(early)}; "
        "import it inside the methods that use it",
    )


def _loaded_by(module: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after importing `module`."""
    script = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 -- this interpreter, on a module that is trusted already
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())
