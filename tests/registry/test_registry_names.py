import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest

from edgeprep.errors import BackendUnavailable, PluginConflict, PluginError, UnknownName
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend, Exporter, Pass, Stage
from edgeprep.registry import Registry, create, default_registry, missing_requirements
from edgeprep.registry.kinds import offer_key
from edgeprep.registry.offers import collect
from edgeprep.stages import plugin as stages_plugin
from edgeprep.tasks import plugin as tasks_plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert(Stage):
    name: ClassVar[str] = "invert"
    strength: float = 1.0

    def output(self, image):
        return image

    def apply(self, F, x, image):
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert2(Invert):
    version: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Invert10(Invert):
    version: ClassVar[int] = 10


class Engine(Backend):
    name = "engine"
    formats = ("alpha", "beta")

    def devices(self):
        return ()

    def options(self, device, precision):
        return ()

    def load(self, model, device, options):
        raise NotImplementedError

    def versions(self):
        return {}


class OtherEngine(Engine):
    name = "other"
    formats = ("beta",)


class Plugin:
    def __init__(self, *stages, backends=()):
        self.stages, self.backends = stages, backends

    @hookimpl
    def edgeprep_stages(self):
        return list(self.stages)

    @hookimpl
    def edgeprep_backends(self):
        return list(self.backends)


@pytest.fixture
def registry():
    registry = Registry(installed=False, builtin=False)
    registry.register("inverts", Plugin(Invert2, Invert10, Invert, backends=(Engine, OtherEngine)))
    return registry


def test_a_stage_without_a_version_is_the_newest(registry):
    assert registry.get("stage", "invert") is Invert10


@pytest.mark.parametrize(("name", "cls"), [("invert@1", Invert), ("invert@2", Invert2)])
def test_a_stage_with_a_version_is_that_one(registry, name, cls):
    assert registry.get("stage", name) is cls


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("stage", "invrt", "unknown stage 'invrt'; did you mean 'invert'?"),
        ("stage", "Invert", "unknown stage 'Invert'; did you mean 'invert'?"),
        ("stage", "invert@7", "unknown stage 'invert@7'; did you mean 'invert@2'?"),
        (
            "stage",
            "invert@11",
            "unknown stage 'invert@11'; upgrade plugin 'inverts', whose newest is 'invert@10'",
        ),
        ("stage", "invert@0", "unknown stage 'invert@0'; did you mean 'invert@10'?"),
        ("stage", "", "unknown stage ''; known here: 'invert'"),
        ("backend", "quux", "unknown backend 'quux'; known here: 'engine', 'other'"),
        ("task", "classify", "unknown task 'classify'; known here: nothing"),
        ("exporter", "tflite", "unknown exporter 'tflite'; pip install edgeprep-tflite"),
        ("backend", "openvino", "unknown backend 'openvino'; pip install edgeprep-openvino"),
    ],
)
def test_an_unknown_name_comes_with_what_is_near_or_what_to_install(registry, kind, name, message):
    with pytest.raises(UnknownName) as caught:  # noqa: PT011 -- the whole message is compared
        registry.get(kind, name)
    assert str(caught.value) == message


def test_backends_are_found_by_format(registry):
    assert registry.backends_for("alpha") == (Engine,)
    assert registry.backends_for("beta") == (Engine, OtherEngine)
    assert registry.backends_for("gamma") == ()


def test_registering_a_taken_name_changes_nothing(registry):
    before = registry.plugins()
    with pytest.raises(PluginConflict) as caught:  # noqa: PT011 -- the whole message is compared
        registry.register("more", Plugin(Invert, backends=(type("E", (Engine,), {"name": "new"}),)))
    assert str(caught.value) == (
        "plugin 'more': must offer names that are free, got stage 'invert@1', "
        "which 'inverts' offers"
    )
    assert registry.plugins() == before
    assert registry.classes("backend") == (Engine, OtherEngine)


def test_a_plugin_name_registers_once(registry):
    with pytest.raises(
        PluginConflict,
        match=r"^plugin 'inverts': must have a name of its own, got one that is taken$",
    ):
        registry.register("inverts", Plugin())


def test_registering_nonsense_says_whose_it_is(registry):
    with pytest.raises(
        PluginError, match=r"^plugin 'odd': must offer every stage as a class, got 3$"
    ):
        registry.register("odd", Plugin(3))


def test_built_ins_keep_their_names():
    registry = Registry(installed=False)
    usurper = type("Resize", (Invert,), {"name": "resize"})
    with pytest.raises(PluginConflict, match=r"got stage 'resize@1', which 'edgeprep.stages' of"):
        registry.register("usurper", Plugin(usurper))
    assert registry.get("stage", "resize").__module__ == "edgeprep.stages.resize"


def test_the_default_registry_is_one():
    assert default_registry() is default_registry()


class Writer(Exporter):
    name = "writer"
    precisions = ("fp32",)

    def export(self, source, precision):
        raise NotImplementedError


class Thinner(Pass):
    name = "thinner"

    def apply(self, network, source):
        raise NotImplementedError


def needing(*requires, install="", base=Engine):
    return type("Needy", (base,), {"name": "needy", "requires": requires, "install": install})


@pytest.mark.parametrize(
    ("requires", "missing"),
    [
        ((), ()),
        (("json", "email.mime"), ()),
        (("json", "no_such_engine"), ("no_such_engine",)),
        (("no_such_engine.inner",), ("no_such_engine.inner",)),
        (("no_such_engine or json",), ()),
        (("no_such_engine or nor_this",), ("no_such_engine or nor_this",)),
    ],
)
def test_requirements_are_looked_for_without_importing(requires, missing):
    assert missing_requirements(needing(*requires)) == missing


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (
            needing("no_such_engine", install="edgeprep-needy[runtime]"),
            (
                "backend 'needy' needs no_such_engine, which is not installed; "
                "pip install edgeprep-needy[runtime]"
            ),
        ),
        (
            needing("no_such_engine or nor_this", "third_one"),
            (
                "backend 'needy' needs no_such_engine or nor_this and third_one, "
                "which are not installed"
            ),
        ),
        (
            needing("no_such_writer", install="edgeprep-needy[convert]", base=Writer),
            (
                "exporter 'needy' needs no_such_writer, which is not installed; "
                "pip install edgeprep-needy[convert]"
            ),
        ),
        (
            needing("no_such_library", install="edgeprep-needy[convert]", base=Thinner),
            (
                "pass 'needy' needs no_such_library, which is not installed; "
                "pip install edgeprep-needy[convert]"
            ),
        ),
    ],
    ids=["backend", "several", "exporter", "pass"],
)
def test_creating_without_the_library_says_what_to_install(cls, message):
    with pytest.raises(BackendUnavailable) as caught:  # noqa: PT011 -- the whole message is compared
        create(cls)
    assert str(caught.value) == message


def test_creating_with_half_a_library_is_unavailable_too():
    class Half(Engine):
        name = "half"
        install = "edgeprep-half[runtime]"

        def __init__(self):
            raise ImportError("libhalf.so.3: cannot open shared object file")

    with pytest.raises(BackendUnavailable) as caught:  # noqa: PT011 -- the whole message is compared
        create(Half)
    assert str(caught.value) == (
        "backend 'half' cannot import its library, got libhalf.so.3: cannot open shared object "
        "file; pip install edgeprep-half[runtime]"
    )


def test_creating_passes_the_fields_on(registry):
    assert registry.create(Invert, strength=0.5) == Invert(strength=0.5)


@pytest.mark.parametrize(("kind", "module"), [("stage", stages_plugin), ("task", tasks_plugin)])
def test_built_ins_are_those_that_their_hooks_offer(kind, module):
    offered = collect(module)[kind]
    assert tuple(module.HOMES) == tuple(offer_key(kind, cls) for cls in offered)
    assert Registry(installed=False).classes(kind) == offered


def test_a_built_in_is_imported_when_it_is_asked_for():
    program = (
        "import sys; from edgeprep.registry import Registry;"
        "Registry(installed=False).get('stage', 'pad');"
        "print([m for m in sys.modules if m in ('edgeprep.stages.pad', 'edgeprep.stages.color')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "['edgeprep.stages.pad']"
