"""Execution providers that packages of their own bring, such as onnxruntime-ep-webgpu."""

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]

__all__ = ["plugin_faults"]

# Each has `get_library_path()` and `get_ep_names()`.
# Source: https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/packaging.html
_PREFIX = "onnxruntime_ep_"
_OTHERS = ("onnxruntime_qnn",)


@cache
def plugin_faults() -> Mapping[str, str]:
    """Register the libraries of all such packages, once; why providers of theirs are of no use."""
    faults: dict[str, str] = {}
    for module in sorted({*_modules()}):
        try:
            package: Any = import_module(module)
            path, names = package.get_library_path(), list(package.get_ep_names())
        except Exception as error:  # noqa: BLE001 -- a package may fail in any way, and is shown
            faults[module.removeprefix(_PREFIX)] = f"{module} fails: {_line(error)}"
            continue
        try:
            onnxruntime.register_execution_provider_library(names[0], path)
        except Exception as error:  # noqa: BLE001 -- ONNX Runtime's errors have no base of their own
            # By the application, in its own name.
            if "already registered" not in str(error).lower():
                faults |= dict.fromkeys(names, f"{module} cannot be loaded: {_line(error)}")
                continue
        for name in names:
            faults[name] = f"{module} finds no device here that it can use"
    return faults


def _modules() -> Iterator[str]:
    """Their names, without importing any: listing directories is quicker than asking for them."""
    for folder in sys.path:
        try:
            entries = [path.name for path in Path(folder).iterdir()]
        except OSError:  # an archive, or nothing at all
            continue
        for name in entries:
            if (name.startswith(_PREFIX) or name in _OTHERS) and name.isidentifier():
                yield name


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
