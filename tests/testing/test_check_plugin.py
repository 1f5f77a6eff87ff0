"""The kit on whole plugins: those of edgeprep pass, and a heavy or broken one is found."""

import sys
from types import ModuleType

import pytest

from edgeprep.testing import ConformanceError, check_plugin

GOOD = """
from edgeprep import hookimpl
from edgeprep.interfaces import Backend

class Engine(Backend):
    name = "engine"
    formats = ("alpha",)
    requires = ("numpy", "wave or sunau")
    devices = options = load = versions = lambda self: None

@hookimpl
def edgeprep_backends():
    return [Engine]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a module for real, without an entry point if `entry` is empty."""

    def install(source, entry="acme = acme_plugin"):
        (tmp_path / "acme_plugin.py").write_text(source)
        info = tmp_path / "acme_plugin-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[edgeprep]\n{entry}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return "acme_plugin"

    yield install
    sys.modules.pop("acme_plugin", None)


def test_a_plugin_that_is_light_and_installed_is_fine(plugin):
    check_plugin(plugin(GOOD))


@pytest.mark.parametrize(
    "module", ["edgeprep_example", "edgeprep_onnx", "edgeprep_openvino", "edgeprep_tflite"]
)
def test_the_plugins_of_edgeprep_conform(module):
    check_plugin(module)


def test_a_plugin_that_is_no_plugin_is_found():
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_plugin("json")
    assert str(caught.value) == (
        "plugin 'json': must offer something, got no function marked with @edgeprep.hookimpl"
    )


def test_a_plugin_that_does_not_import_is_found(plugin):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_plugin(plugin("import no_such_engine"))
    assert str(caught.value) == (
        "plugin 'acme_plugin': must be importable, "
        "got ModuleNotFoundError: No module named 'no_such_engine'"
    )


@pytest.mark.parametrize(
    "source",
    [f"import wave\n{GOOD}", GOOD.replace("    return", "    import wave\n    return")],
    ids=["at its import", "in its hook"],
)
def test_a_plugin_that_imports_what_its_classes_require_is_found(plugin, source):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_plugin(plugin(source))
    assert str(caught.value) == (
        "plugin 'acme_plugin': listing it must import no library that its classes require, "
        "got wave; import it inside the methods that use it"
    )


def test_a_plugin_that_no_entry_point_names_is_found(plugin):
    with pytest.raises(
        ConformanceError,
        match=r"^plugin 'acme_plugin': must be named by an entry point of the group 'edgeprep', "
        r"got (?!acme).*edgeprep_example.*; add it to pyproject\.toml and install it$",
    ):
        check_plugin(plugin(GOOD, entry=""))


def test_a_plugin_may_be_given_as_its_module():
    with pytest.raises(
        ConformanceError, match=r"^plugin 'types_of_acme': must be importable, got "
    ):
        check_plugin(ModuleType("types_of_acme"))
