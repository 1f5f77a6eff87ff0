"""The registry: names to classes, from the built-ins and from whatever is installed."""

import os
from collections.abc import Collection, Mapping
from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any, Literal, TypeVar, overload

from msgspec.structs import replace

from edgeprep import schema
from edgeprep.errors import PluginConflict, PluginError, UnknownName
from edgeprep.interfaces import Backend, Exporter, Pass, Stage, Task
from edgeprep.registry.catalogue import Catalogue
from edgeprep.registry.installed import Installed, PluginRecord, scan, strangers
from edgeprep.registry.kinds import Kind
from edgeprep.registry.offers import collect, in_one_line
from edgeprep.registry.requirements import create

__all__ = ["Registry", "default_registry"]

T = TypeVar("T")

# Named, not imported: these modules stand to the right of this one, and are plugins like any other.
_BUILTIN: Mapping[Kind, str] = {
    "stage": "edgeprep.stages.plugin",
    "pass": "edgeprep.compress.plugin",
    "task": "edgeprep.tasks.plugin",
}
# Where the formats that edgeprep is known for come from, to say so when one is missing.
_DISTRIBUTIONS: Mapping[str, str] = {
    "onnx": "edgeprep-onnx",
    "onnxruntime": "edgeprep-onnx",
    "openvino": "edgeprep-openvino",
    "tflite": "edgeprep-tflite",
    "litert": "edgeprep-tflite",
}


class Registry:
    """What can be named on this machine. It may be used from any number of threads.

    Built-ins come first; installed plugins are imported when a name is missing or everything is
    listed, one at a time and in the order of their names, so that a broken one hurts only itself.
    `EDGEPREP_DISABLE_PLUGINS` and `EDGEPREP_PLUGINS` hold names of plugins, or of distributions,
    with commas between them. The first is held to what is installed: a name that is not is a line
    of the log `edgeprep`, and no error, as one setting may be for devices with and without it.

    Args:
        installed: whether to look for installed plugins; tests say no.
        allow: the only plugins that may be loaded; None: those in `EDGEPREP_PLUGINS`, or all where
            that is not set.
        builtin: whether the built-ins are there.

    Raises:
        PluginError: `allow` is no list of names; one string is none, whose letters would be taken
            for names.
    """

    def __init__(
        self,
        *,
        installed: bool = True,
        allow: Collection[str] | None = None,
        builtin: bool = True,
    ) -> None:
        if isinstance(allow, str):
            raise PluginError(f"plugins: must be a list of names, got {allow!r}; write [{allow!r}]")
        if allow is not None and not _are_names(allow):
            raise PluginError(f"plugins: must be a list of names, got {allow!r}")
        self._allow = _names_in("EDGEPREP_PLUGINS") if allow is None else frozenset(allow)
        self._disable = _names_in("EDGEPREP_DISABLE_PLUGINS") or frozenset()
        self._lock = RLock()
        self._catalogue = Catalogue()
        self._records: list[PluginRecord] = []
        self._builtin = dict(_BUILTIN) if builtin else {}
        self._scanned = not installed
        self._waiting: list[Installed] = []

    @overload
    def get(self, kind: Literal["stage"], name: str) -> type[Stage]: ...
    @overload
    def get(self, kind: Literal["pass"], name: str) -> type[Pass]: ...
    @overload
    def get(self, kind: Literal["exporter"], name: str) -> type[Exporter]: ...
    @overload
    def get(self, kind: Literal["backend"], name: str) -> type[Backend]: ...
    @overload
    def get(self, kind: Literal["task"], name: str) -> type[Task]: ...
    def get(self, kind: Kind, name: str) -> type[Any]:
        """The class of this `kind` that is called `name`.

        Args:
            kind: one of the five kinds.
            name: of the class. Of a stage it may carry a version, as in `resize@1`; without one
                the newest is meant.

        Raises:
            UnknownName: nothing offers it; the message says what is near, or what to install.
        """
        with self._lock:
            self._load_builtin(kind)
            found = self._catalogue.find(kind, name)
            if found is None:
                self._load_installed()
                found = self._catalogue.find(kind, name)
            if found is None:
                raise UnknownName(f"unknown {kind} {schema.show(name)}{self._remedy(kind, name)}")
            return found

    @overload
    def classes(self, kind: Literal["stage"]) -> tuple[type[Stage], ...]: ...
    @overload
    def classes(self, kind: Literal["pass"]) -> tuple[type[Pass], ...]: ...
    @overload
    def classes(self, kind: Literal["exporter"]) -> tuple[type[Exporter], ...]: ...
    @overload
    def classes(self, kind: Literal["backend"]) -> tuple[type[Backend], ...]: ...
    @overload
    def classes(self, kind: Literal["task"]) -> tuple[type[Task], ...]: ...
    def classes(self, kind: Kind) -> tuple[type[Any], ...]:
        """All classes of this `kind`: built-ins, then plugins in the order of their names."""
        with self._lock:
            self._load_installed()
            return self._catalogue.classes(kind)

    def backends_for(self, format: str) -> tuple[type[Backend], ...]:  # noqa: A002 -- the word
        """The backends that run `format`, whether or not their libraries are on this machine."""
        return tuple(cls for cls in self.classes("backend") if format in cls.formats)

    def plugins(self, *, load: bool = True) -> tuple[PluginRecord, ...]:
        """What is known of every plugin, the broken and the disabled ones too.

        Args:
            load: whether to import those that nothing has asked for yet; else they are listed as
                "not loaded".
        """
        with self._lock:
            if load:
                self._load_installed()
            self._scan()
            return (*self._records, *(plugin.record for plugin in self._waiting))

    def register(self, name: str, plugin: object) -> None:
        """Add what `plugin`, a module or an object with hooks, offers: all of it, or nothing.

        Raises:
            PluginConflict: something that it offers, or its own name, is taken.
            PluginError: a hook or a class of it breaks a rule.
        """
        with self._lock:
            self._load_builtins()
            record = PluginRecord(name=name)
            try:
                if any(other.name == name for other in self._records):
                    raise PluginConflict("must have a name of its own, got one that is taken")
                self._add(record, plugin)
            except PluginError as fault:
                raise type(fault)(f"plugin {name!r}: {fault}") from fault

    def create(self, cls: type[T], **fields: object) -> T:
        """An instance of `cls`, once the libraries that it needs are known to be there.

        Raises:
            BackendUnavailable: one is missing or cannot be imported.
        """
        return create(cls, **fields)

    def _load_builtin(self, kind: Kind) -> None:
        module = self._builtin.pop(kind, None)
        if module is not None:
            name = module.removesuffix(".plugin")
            homes: Mapping[str, str] = import_module(module).HOMES
            self._catalogue.add_homes(name, kind, homes)
            self._records.append(
                PluginRecord(name=name, distribution="edgeprep", provides={kind: tuple(homes)})
            )

    def _load_builtins(self) -> None:
        for kind in tuple(self._builtin):
            self._load_builtin(kind)

    def _scan(self) -> None:
        if not self._scanned:
            self._scanned = True
            found = scan(allow=self._allow, disable=self._disable)
            _tell_of_strangers(self._disable, found)
            self._records += [plugin.record for plugin in found if plugin.entry is None]
            self._waiting = [plugin for plugin in found if plugin.entry is not None]

    def _load_installed(self) -> None:
        self._load_builtins()
        self._scan()
        while self._waiting:
            # Taken off first: a plugin that asks the registry while it is imported waits for none.
            plugin = self._waiting.pop(0)
            try:
                self._load(plugin)
            except KeyboardInterrupt:
                self._waiting.insert(0, plugin)
                raise

    def _load(self, plugin: Installed) -> None:
        try:
            self._add(plugin.record, _import(plugin))
        except PluginError as fault:
            self._records.append(replace(plugin.record, state="broken", reason=str(fault)))

    def _add(self, record: PluginRecord, plugin: object) -> None:
        provides = self._catalogue.add(record.name, collect(plugin))
        self._records.append(replace(record, state="ok", provides=provides))

    def _remedy(self, kind: Kind, name: str) -> str:
        known = self._catalogue.names(kind, versions="@" in name)
        faulty = [
            f"; plugin {record.name!r} is {record.state}: {record.reason}"
            for record in self._records
            # Any broken plugin may have offered it; of the disabled, one that is called alike.
            if record.state == "broken" or (record.state == "disabled" and record.name in name)
        ]
        if name in _DISTRIBUTIONS and not faulty:
            return f"; pip install {_DISTRIBUTIONS[name]}"
        upgrade = self._upgrade(name) if kind == "stage" else ""
        return (upgrade or schema.nearest_or_all(name, known)) + "".join(faulty)

    def _upgrade(self, name: str) -> str:
        """What to upgrade where `name` is a stage of a version that is not out yet here."""
        base, _, version = name.partition("@")
        newest = self._catalogue.newest(base)
        # What is longer is no version, and Python may refuse to read it.
        if not (newest and version.isdecimal() and len(version) < 10 and int(version) > newest):
            return ""
        key = f"{base}@{newest}"
        owner = self._catalogue.owner("stage", key)
        distributions = {record.name: record.distribution for record in self._records}
        whose = distributions[owner] or f"plugin {owner!r}"
        return f"; upgrade {whose}, whose newest is {key!r}"


@cache
def default_registry() -> Registry:
    """The registry that everything uses which is not given another one."""
    return Registry()


def _import(plugin: Installed) -> object:
    try:
        return plugin.entry.load() if plugin.entry else None
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # SystemExit too: a plugin does not end the process.
        raise PluginError(f"must be importable, got {in_one_line(fault)}") from fault


def _tell_of_strangers(disable: Collection[str], found: Collection[Installed]) -> None:
    for name in strangers(disable, found):
        import logging  # here, as it takes long, and most have nothing to say

        remedy = schema.nearest_or_all(name, dict.fromkeys(one.record.name for one in found))
        rule = "EDGEPREP_DISABLE_PLUGINS: must name plugins that are installed"
        logging.getLogger("edgeprep").warning("%s, got %r%s", rule, name, remedy)


def _are_names(value: object) -> bool:
    return isinstance(value, Collection) and all(isinstance(name, str) for name in value)


def _names_in(variable: str) -> frozenset[str] | None:
    """The names in an environment variable; None where it is not set at all."""
    text = os.environ.get(variable)
    if text is None:
        return None
    return frozenset(name.strip() for name in text.split(",") if name.strip())
