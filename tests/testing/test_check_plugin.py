"""The kit on whole plugins: those of edgeprep pass, and a heavy or broken one is found."""

import sys
from types import ModuleType

import pytest

from edgeprep.testing import ConformanceError, check_plugin

HEAVY = """
import json.tool
from edgeprep import hookimpl
from edgeprep.interfaces import Backend

class Engine(Backend):
    name = "engine"
    formats = ("alpha",)
    requires = ("json or simplejson",)
    devices = options = load = versions = lambda self: None

@hookimpl
def edgeprep_backends():
    return [Engine]
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    def write(source):
        (tmp_path / "acme_plugin.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        return "acme_plugin"

    yield write
    sys.modules.pop("acme_plugin", None)


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


def test_a_plugin_that_imports_what_its_classes_require_is_found(plugin):
    with pytest.raises(ConformanceError) as caught:  # noqa: PT011 -- the whole message is compared
        check_plugin(plugin(HEAVY))
    assert str(caught.value) == (
        "plugin 'acme_plugin': importing it must import no heavy library, got json; "
        "import it inside the methods that use it"
    )


def test_a_plugin_may_be_given_as_its_module():
    with pytest.raises(
        ConformanceError, match=r"^plugin 'types_of_acme': must be importable, got "
    ):
        check_plugin(ModuleType("types_of_acme"))
