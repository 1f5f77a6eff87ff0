"""The plugins that are installed on this machine, found without importing any of them."""

import re
from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from edgeprep.registry.entry_points import EntryPoint, list_entry_points
from edgeprep.registry.kinds import Kind

__all__ = ["GROUP", "Installed", "PluginRecord", "scan", "strangers"]

GROUP = "edgeprep"

State = Literal["ok", "broken", "disabled", "not loaded"]


class PluginRecord(Struct, frozen=True, kw_only=True):
    """What is known of one plugin, as `edgeprep plugins` shows it.

    Attributes:
        name: the name of its entry point.
        distribution: what pip calls it, and "" where it was registered by hand.
        version: of the distribution.
        state: "ok"; "broken", left out as a whole; "disabled" by the user; or "not loaded", because
            nothing has asked for it yet.
        reason: why it is broken or disabled.
        provides: the names that it offers, by kind.
    """

    name: str
    distribution: str = ""
    version: str = ""
    state: State = "ok"
    reason: str = ""
    provides: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)


class Installed(Struct, frozen=True, kw_only=True):
    """One entry point; `entry` is None where it must not be loaded."""

    record: PluginRecord
    entry: EntryPoint | None


def scan(*, allow: Collection[str] | None, disable: Collection[str]) -> list[Installed]:
    """The plugins on this machine, in the order of their names.

    Args:
        allow: the names of plugins or distributions that may be loaded; None: all.
        disable: the names of plugins or distributions that must not be loaded.
    """
    found: dict[tuple[str, str], Installed] = {}
    for entry in list_entry_points(GROUP):
        record = PluginRecord(
            name=entry.name,
            distribution=entry.distribution,
            version=entry.version,
            state="not loaded",
        )
        # Of one distribution, the first on sys.path is the one that Python would import.
        key = record.name, _normal(record.distribution)
        found.setdefault(key, Installed(entry=entry, record=record))
    allowed = None if allow is None else set(map(_normal, allow))
    disabled = set(map(_normal, disable))
    chosen = [_choose(found[key], allowed, disabled) for key in sorted(found)]
    return [_refuse_shared_name(plugin, chosen) for plugin in chosen]


def strangers(names: Collection[str], plugins: Collection[Installed]) -> list[str]:
    """Those of `names`, of plugins or distributions, that none of `plugins` has."""
    known = {
        _normal(name)
        for plugin in plugins
        for name in (plugin.record.name, plugin.record.distribution)
    }
    return sorted(name for name in names if _normal(name) not in known)


def _choose(
    plugin: Installed, allow: Collection[str] | None, disable: Collection[str]
) -> Installed:
    names = {_normal(plugin.record.name), _normal(plugin.record.distribution)}
    if not names.isdisjoint(disable):
        return _without(plugin, "disabled", "named in EDGEPREP_DISABLE_PLUGINS")
    if allow is not None and names.isdisjoint(allow):
        return _without(plugin, "disabled", "not on the list of allowed plugins")
    return plugin


def _normal(name: str) -> str:
    """`name` as pip compares names: Edgeprep_ONNX is edgeprep-onnx."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _refuse_shared_name(plugin: Installed, plugins: Collection[Installed]) -> Installed:
    """`plugin`, not to be loaded where another distribution has an entry point of that name.

    Neither is loaded, because which of them comes first on sys.path is an accident.
    """
    rivals = [
        f"{other.record.distribution} {other.record.version}"
        for other in plugins
        if other.record.name == plugin.record.name and other.entry is not None
    ]
    if plugin.entry is None or len(rivals) == 1:
        return plugin
    return _without(
        plugin,
        "broken",
        f"the name {plugin.record.name!r} must belong to one distribution, got "
        f"{' and '.join(rivals)}; uninstall one, or name it in EDGEPREP_DISABLE_PLUGINS",
    )


def _without(plugin: Installed, state: State, reason: str) -> Installed:
    return Installed(entry=None, record=replace(plugin.record, state=state, reason=reason))
