"""Keeps ONNX Runtime from reporting home.

Since 1.29 its official builds do, on Linux and macOS too. `disable_telemetry_events` comes too
late: importing the library has by then left an identifier in the cache directory and a file `.ses`
in the temporary one, and sent a first event.
Source: https://github.com/microsoft/onnxruntime/pull/27379.
"""

import os

__all__ = ["silence_telemetry"]


def silence_telemetry() -> None:
    """Make onnxruntime, imported from now on, neither send nor keep anything.

    Who has set the variable already is obeyed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
