import pytest

from edgeprep.errors import UnknownName
from edgeprep.registry import PluginRecord, Registry

FINE_TOO = """
@hookimpl
def edgeprep_stages():
    return [Fine]
"""

# What is wrong with a plugin, and what is said of it. Each would offer a fine stage beside that.
BROKEN = {
    "a module it imports is missing": (
        "import no_such_engine",
        "must be importable, got ModuleNotFoundError: No module named 'no_such_engine'",
    ),
    "exits when imported": ("sys.exit(3)", "must be importable, got SystemExit: 3"),
    "does not compile": ("x = (", "must be importable, got SyntaxError: '(' was never closed"),
    "misspelt hook": (
        FINE_TOO + "@hookimpl\ndef edgeprep_stage():\n    return [Fine]",
        "must implement hooks of edgeprep, got 'edgeprep_stage'; did you mean 'edgeprep_stages'?",
    ),
    "hook without its mark": (
        (
            "def edgeprep_stages():\n    return [Fine]\n"
            "@hookimpl\ndef edgeprep_passes():\n    return []"
        ),
        "hook 'edgeprep_stages' must be marked with @edgeprep.hookimpl",
    ),
    "no hook": (
        "stages = [Fine]",
        "must offer something, got no function marked with @edgeprep.hookimpl",
    ),
    "hook with an argument": (
        "@hookimpl\ndef edgeprep_stages(config):\n    return [Fine]",
        "hook 'edgeprep_stages' must take no arguments, got 'edgeprep_stages(config)'",
    ),
    "hook raises": (
        FINE_TOO + "@hookimpl\ndef edgeprep_tasks():\n    return {}['tasks']",
        "hook 'edgeprep_tasks' must not raise, got KeyError: 'tasks'",
    ),
    "hook exits": (
        FINE_TOO + "@hookimpl\ndef edgeprep_tasks():\n    sys.exit()",
        "hook 'edgeprep_tasks' must not raise, got SystemExit",
    ),
    "hook has no memory": (
        FINE_TOO + "@hookimpl\ndef edgeprep_tasks():\n    raise MemoryError",
        "hook 'edgeprep_tasks' must not raise, got MemoryError",
    ),
    "hook that wraps": (
        "@hookimpl(wrapper=True)\ndef edgeprep_stages():\n    return [Fine]",
        (
            "must be a plugin that can be read, got pluggy._manager.PluginValidationError: Plugin "
            "'hook_that_wraps' for hook 'edgeprep_stages' hookimpl definition: edgeprep_stages() "
            "Declared as wrapper=True or hookwrapper=True but function is not a generator function"
        ),
    ),
    "class that answers no question": (
        (
            "class Mute(type(Stage)):\n    @property\n    def name(cls): raise ValueError('mute')\n"
            "@dataclass(frozen=True)\nclass Silent(Finished, Stage, metaclass=Mute): ...\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Silent]"
        ),
        "must be a plugin that can be read, got ValueError: mute",
    ),
    "returns nothing": (
        FINE_TOO + "@hookimpl\ndef edgeprep_tasks():\n    pass",
        "hook 'edgeprep_tasks' must return a list of classes, got None",
    ),
    "returns a class": (
        "@hookimpl\ndef edgeprep_stages():\n    return Finished",
        (
            "hook 'edgeprep_stages' must return a list of classes, "
            "got <class 'returns_a_class.Finished'>"
        ),
    ),
    "returns a dict": (
        "@hookimpl\ndef edgeprep_stages():\n    return {'fine': 1}",
        "hook 'edgeprep_stages' must return a list of classes, got {'fine': 1}",
    ),
    "returns an instance": (
        "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Fine()]",
        "must offer every stage as a class, got Fine()",
    ),
    "wrong kind of class": (
        "@hookimpl\ndef edgeprep_tasks():\n    return [Fine]",
        "task class 'Fine': must be derived from edgeprep.interfaces.Task",
    ),
    "unfinished class": (
        (
            "@dataclass(frozen=True)\nclass Half(Stage):\n    name: ClassVar[str] = 'half'\n"
            "    def output(self, image): ...\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Half]"
        ),
        "stage class 'Half': must define all of Stage, got none of 'apply'",
    ),
    "nameless class": (
        (
            "@dataclass(frozen=True)\nclass Nameless(Finished, Stage): ...\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Nameless]"
        ),
        "stage class 'Nameless': must have a class attribute 'name' of a-z, 0-9, - and _, got None",
    ),
    "unspeakable name": (
        (
            "@dataclass(frozen=True)\nclass Loud(Fine):\n    name: ClassVar[str] = 'Loud!'\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Loud]"
        ),
        "stage class 'Loud': must have a class attribute 'name' of a-z, 0-9, - and _, got 'Loud!'",
    ),
    "version nought": (
        (
            "@dataclass(frozen=True)\nclass Old(Fine):\n    version: ClassVar[int] = 0\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Old]"
        ),
        "stage class 'Old': 'version' must be a whole number from 1, got 0",
    ),
    "changeable stage": (
        (
            "class Changeable(Finished, Stage):\n    name = 'changeable'\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Changeable]"
        ),
        "stage class 'Changeable': must be a frozen dataclass, whose fields are a recipe's keys",
    ),
    "field that no recipe can hold": (
        (
            "@dataclass(frozen=True)\nclass Odd(Fine):\n    at: complex = 0j\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Odd]"
        ),
        (
            "stage class 'Odd': every field must be a key of a recipe; "
            "Odd.at: no table can hold its type, got complex"
        ),
    ),
    "same name twice": (
        "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Fine]",
        (
            "must offer names that are free, got stage 'same-name-twice@1', "
            "which 'same_name_twice' offers"
        ),
    ),
    "name of a built-in": (
        (
            "@dataclass(frozen=True)\nclass Resize(Fine):\n    name: ClassVar[str] = 'resize'\n"
            "@hookimpl\ndef edgeprep_stages():\n    return [Fine, Resize]"
        ),
        "must offer names that are free, got stage 'resize@1', which 'edgeprep.stages' offers",
    ),
    "requirements in one string": (
        "@dataclass(frozen=True)\nclass Write(Exporter):\n    name = 'write'\n"
        "    precisions = ('fp32',)\n    requires = 'onnx'\n"
        "    def export(self, source, precision): ...\n"
        "@hookimpl\ndef edgeprep_exporters():\n    return [Write]\n" + FINE_TOO,
        "exporter class 'Write': 'requires' must be a tuple of strings, got 'onnx'",
    ),
    "several things to install": (
        "@dataclass(frozen=True)\nclass Write(Exporter):\n    name = 'write'\n"
        "    precisions = ('fp32',)\n    install = ('onnx', 'numpy')\n"
        "    def export(self, source, precision): ...\n"
        "@hookimpl\ndef edgeprep_exporters():\n    return [Write]\n" + FINE_TOO,
        "exporter class 'Write': 'install' must be what to tell pip, got ('onnx', 'numpy')",
    ),
    "unknown precision": (
        "@dataclass(frozen=True)\nclass Write(Exporter):\n    name = 'write'\n"
        "    precisions = ('fp32', 'int3')\n    def export(self, source, precision): ...\n"
        "@hookimpl\ndef edgeprep_exporters():\n    return [Write]\n" + FINE_TOO,
        (
            "exporter class 'Write': 'precisions' must be of 'fp32', 'fp16', 'bf16', 'int8', "
            "'int8-int16', 'int8-dynamic', 'int8-weight-only', got 'int3'"
        ),
    ),
    "backend for no format": (
        "class Run(Backend):\n    name = 'run'\n    formats = ()\n"
        "    devices = options = load = versions = lambda self: None\n"
        "@hookimpl\ndef edgeprep_backends():\n    return [Run]\n" + FINE_TOO,
        "backend class 'Run': 'formats' must name at least one, got ()",
    ),
}


def record_of(registry, name):
    [record] = [record for record in registry.plugins() if record.name == name]
    return record


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_left_out_whole_and_hurts_only_itself(install, fault):
    body, reason = BROKEN[fault]
    module = fault.replace(" ", "_").replace("-", "_")
    install("a_plugin_before")
    install(module, body)
    install("z_plugin_after")
    registry = Registry(allow=["a_plugin_before", module, "z_plugin_after"])

    record = record_of(registry, module)
    assert record.state == "broken"
    assert record.reason == reason
    assert record.provides == {}
    offered = [stage.name for stage in registry.classes("stage")]
    assert offered[-2:] == ["a-plugin-before", "z-plugin-after"]
    assert module.replace("_", "-") not in offered


def test_a_good_plugin_is_listed_with_what_it_provides(install):
    install("good_plugin")
    assert record_of(Registry(), "good_plugin") == PluginRecord(
        name="good_plugin",
        distribution="good-plugin",
        version="1.5",
        state="ok",
        reason="",
        provides={"stage": ("good-plugin@1",)},
    )


def test_an_interrupt_passes_and_the_plugins_that_are_left_load_later(install, monkeypatch):
    install(
        "interrupted", "import builtins\nif builtins.interrupt: raise KeyboardInterrupt" + FINE_TOO
    )
    install("z_plugin_after")
    monkeypatch.setattr("builtins.interrupt", True, raising=False)
    registry = Registry(allow=["interrupted", "z_plugin_after"])
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        registry.classes("stage")
    monkeypatch.setattr("builtins.interrupt", False)
    offered = [stage.name for stage in registry.classes("stage")]
    assert offered[-2:] == ["interrupted", "z-plugin-after"]


def test_a_missing_name_says_which_plugins_are_broken(install):
    install("broken_stage", "import no_such_engine")
    with pytest.raises(UnknownName) as caught:  # noqa: PT011 -- the whole message is compared
        Registry(allow=["broken_stage"], builtin=False).get("stage", "broken-stage")
    assert str(caught.value) == (
        "unknown stage 'broken-stage'; known here: nothing; plugin 'broken_stage' is broken: "
        "must be importable, got ModuleNotFoundError: No module named 'no_such_engine'"
    )
