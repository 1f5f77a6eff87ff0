"""What holds for every test of the house."""

import sys

# Some tests import openvino without its plugin, which keeps telemetry from being sent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
