"""Keeps OpenVINO and NNCF from reporting home.

Importing openvino sends an event and leaves an identifier in the home directory, unless a consent
file there says no, wherever `openvino-telemetry` is installed; and openvino requires it.
"""

import sys
from typing import Any

__all__ = ["silence_telemetry"]

_PACKAGE = "openvino_telemetry"


def silence_telemetry() -> None:
    """Make openvino and nncf, imported from now on, find no telemetry to report to.

    Both take their own stub where the package cannot be imported. Where the application has
    imported it already, its methods do nothing from now on.
    """
    loaded: Any = sys.modules.get(_PACKAGE)
    if loaded is None:
        # None is Python's documented way to make an import raise ModuleNotFoundError.
        sys.modules[_PACKAGE] = None  # type: ignore[assignment]
        return
    for method in ("init", "send_event", "start_session", "end_session", "send_error"):
        setattr(loaded.Telemetry, method, _do_nothing)
    loaded.Telemetry.send_stack_trace = _do_nothing


def _do_nothing(*_arguments: object, **_options: object) -> None:
    """Stand in for every method that would report."""
