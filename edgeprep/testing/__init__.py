"""The conformance kit: what a plugin's tests call to learn what is wrong with it.

    from edgeprep import testing
    from edgeprep_example import Invert

    def test_the_plugin_can_be_installed():
        testing.check_plugin("edgeprep_example")

    def test_the_stage_is_the_same_everywhere():
        testing.check_stage(Invert())

Each check raises AssertionError with one sentence that names the rule. The built-ins and the
plugins of edgeprep itself pass the same checks. They need a workstation: torch and onnx.
"""

from edgeprep.testing.backend import check_backend
from edgeprep.testing.exporter import check_exporter
from edgeprep.testing.plugin import check_plugin
from edgeprep.testing.source import small_source
from edgeprep.testing.stage import check_stage

__all__ = ["check_backend", "check_exporter", "check_plugin", "check_stage", "small_source"]
