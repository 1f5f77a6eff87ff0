"""What one plugin offers, collected through its hooks and checked as a whole."""

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from edgeprep import hookspecs
from edgeprep.errors import PluginError
from edgeprep.registry.kinds import Kind, check_class
from edgeprep.schema import nearest_or_all, show

__all__ = ["Offers", "collect", "in_one_line"]

Offers = Mapping[Kind, tuple[type, ...]]

_HOOKS: Mapping[str, Kind] = {
    "edgeprep_stages": "stage",
    "edgeprep_passes": "pass",
    "edgeprep_exporters": "exporter",
    "edgeprep_backends": "backend",
    "edgeprep_tasks": "task",
}


def collect(plugin: object) -> Offers:
    """All classes that `plugin` offers, by kind, each of them complete.

    Raises:
        PluginError: a hook or a class breaks a rule. The message is the rule alone.
    """
    try:
        return _collect(plugin)
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as fault:  # such as of pluggy, or of a class that answers no questions
        raise PluginError(f"must be a plugin that can be read, got {in_one_line(fault)}") from fault


def _collect(plugin: object) -> Offers:
    hooks = _hooks(plugin)
    if not hooks:
        raise PluginError("must offer something, got no function marked with @edgeprep.hookimpl")
    offers = {_HOOKS[name]: _call(name, hook) for name, hook in hooks.items()}
    for kind, classes in offers.items():
        for cls in classes:
            check_class(kind, cls)
    return offers


def in_one_line(fault: BaseException) -> str:
    """The type and message of a foreign exception."""
    import traceback  # here, as most plugins raise none

    return " ".join(traceback.format_exception_only(fault)[-1].split())


def _hooks(plugin: object) -> Mapping[str, Callable[[], Any]]:
    """The hooks of `plugin`, as functions of no arguments."""
    # One manager a plugin: in a shared one, a hook that raises loses the results of all others.
    manager = pluggy.PluginManager("edgeprep")
    manager.register(plugin)
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if caller.name not in _HOOKS:
            remedy = nearest_or_all(caller.name, _HOOKS)
            raise PluginError(f"must implement hooks of edgeprep, got {caller.name!r}{remedy}")
        for hook in caller.get_hookimpls():
            if hook.argnames:
                got = f"{caller.name}({', '.join(hook.argnames)})"
                raise PluginError(f"hook {caller.name!r} must take no arguments, got {got!r}")
    manager.add_hookspecs(hookspecs)
    manager.check_pending()
    for name in _HOOKS:
        if hasattr(plugin, name) and name not in {caller.name for caller in callers}:
            raise PluginError(f"hook {name!r} must be marked with @edgeprep.hookimpl")
    return {caller.name: caller for caller in callers}


def _call(name: str, hook: Callable[[], Any]) -> tuple[type, ...]:
    try:
        results = hook()
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as fault:  # SystemExit too: a plugin does not end the process.
        raise PluginError(f"hook {name!r} must not raise, got {in_one_line(fault)}") from fault
    # pluggy leaves out what is None.
    if len(results) != 1 or not isinstance(results[0], list | tuple):
        got = show(results[0]) if results else "None"
        raise PluginError(f"hook {name!r} must return a list of classes, got {got}")
    return tuple(results[0])
