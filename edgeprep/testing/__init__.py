"""The conformance kit: what a plugin's tests call to learn what is wrong with it.

    import edgeprep_example
    from edgeprep import testing

    def test_the_plugin_can_be_installed():
        testing.check_plugin(edgeprep_example)

    def test_the_stage_is_the_same_everywhere():
        testing.check_stage(edgeprep_example.Invert())

Each check raises ConformanceError, an AssertionError, with one sentence that names the rule and
what came. The built-ins and the plugins of edgeprep itself pass the same checks. Importing this
module is cheap; stages, passes and exporters need a workstation, with torch, onnx and onnxruntime.
"""

from edgeprep.testing.backend import check_backend
from edgeprep.testing.compression import check_pass
from edgeprep.testing.exporter import check_exporter
from edgeprep.testing.plugin import check_plugin
from edgeprep.testing.rules import ConformanceError
from edgeprep.testing.source import small_source, stateful_source
from edgeprep.testing.stage import check_stage
from edgeprep.testing.task import check_task
from edgeprep.testing.workbench import small_workbench

__all__ = [
    "ConformanceError",
    "check_backend",
    "check_exporter",
    "check_pass",
    "check_plugin",
    "check_stage",
    "check_task",
    "small_source",
    "small_workbench",
    "stateful_source",
]
