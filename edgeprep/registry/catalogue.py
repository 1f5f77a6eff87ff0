"""The classes that have been accepted, by the names under which they are found."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.errors import PluginConflict
from edgeprep.registry.kinds import BASES, Kind, offer_key
from edgeprep.registry.offers import Offers

__all__ = ["Catalogue"]


class Catalogue:
    """Classes by kind and name, and which plugin each came from.

    Built-ins stand here as `module:class` until they are asked for: a device imports those alone
    that its bundle uses.
    """

    def __init__(self) -> None:
        self._classes: dict[Kind, dict[str, type | str]] = {kind: {} for kind in BASES}
        self._owners: dict[tuple[Kind, str], str] = {}

    def add_homes(self, plugin: str, kind: Kind, homes: Mapping[str, str]) -> None:
        """Take in the built-ins of one `kind`, whose names are free, without importing them."""
        self._classes[kind].update(homes)
        self._owners.update({(kind, name): plugin for name in homes})

    def add(self, plugin: str, offers: Offers) -> Mapping[Kind, tuple[str, ...]]:
        """Take in all of `offers`, or nothing; returns the names by kind.

        Raises:
            PluginConflict: a name is taken. The message is the rule alone.
        """
        added: dict[Kind, dict[str, type]] = {kind: {} for kind in offers}
        for kind, classes in offers.items():
            for cls in classes:
                name = offer_key(kind, cls)
                owner = plugin if name in added[kind] else self._owners.get((kind, name))
                if owner is not None:
                    rule = "must offer names that are free"
                    raise PluginConflict(f"{rule}, got {kind} {name!r}, which {owner!r} offers")
                added[kind][name] = cls
        for kind, named in added.items():
            self._classes[kind].update(named)
            self._owners.update({(kind, name): plugin for name in named})
        return {kind: tuple(named) for kind, named in added.items()}

    def classes(self, kind: Kind) -> tuple[type, ...]:
        """The classes of this `kind`, in the order in which they came."""
        return tuple(self._resolve(kind, name) for name in self._classes[kind])

    def names(self, kind: Kind, *, versions: bool) -> tuple[str, ...]:
        """The names of this `kind`, with or without the versions that stages carry."""
        keys = self._classes[kind]
        return tuple(keys if versions else dict.fromkeys(key.partition("@")[0] for key in keys))

    def newest(self, stage: str) -> int:
        """The greatest version of the stage of this name; 0 where there is none."""
        pairs = [key.partition("@")[::2] for key in self._classes["stage"]]
        return max((int(version) for base, version in pairs if base == stage), default=0)

    def owner(self, kind: Kind, name: str) -> str:
        """The name of the plugin that offers `name`, which may carry a version."""
        return self._owners[kind, name]

    def find(self, kind: Kind, name: str) -> type | None:
        """The class called `name`; of a stage without a version, the newest."""
        if kind == "stage" and "@" not in name:
            name = f"{name}@{self.newest(name)}"
        return self._resolve(kind, name) if name in self._classes[kind] else None

    def _resolve(self, kind: Kind, name: str) -> type:
        found = self._classes[kind][name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self._classes[kind][name] = getattr(import_module(module), attribute)
        return found
