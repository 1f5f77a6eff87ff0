"""The built-in passes: where each one is, and the hook that offers them all."""

from collections.abc import Mapping
from importlib import import_module

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Pass

__all__ = ["HOMES", "edgeprep_passes"]

# By name. Each module is light; what does the work is its twin, `_NAME.py`.
HOMES: Mapping[str, str] = {
    "prune": "edgeprep.compress.prune:Prune",
    "sparsify": "edgeprep.compress.sparsify:Sparsify",
    "distil": "edgeprep.compress.distil:Distil",
    "quantization-aware": "edgeprep.compress.quantization_aware:QuantizationAware",
}


@hookimpl
def edgeprep_passes() -> list[type[Pass]]:
    """Every built-in pass."""
    homes = [home.partition(":") for home in HOMES.values()]
    return [getattr(import_module(module), name) for module, _, name in homes]
