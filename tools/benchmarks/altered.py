"""Engines that are altered for a measurement, and a registry that has no others."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from numpy.typing import NDArray

from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Backend, Runner
from edgeprep.registry import Registry
from edgeprep.tensors import TensorSpec

__all__ = ["Around", "registry_of"]


class Around(Runner):
    """A runner that does what another one does."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:  # type: ignore[override]  # another one's
        return self._runner.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:  # type: ignore[override]  # likewise
        return self._runner.outputs

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        return self._runner.run(inputs)

    def close(self) -> None:
        self._runner.close()


def registry_of(*backends: type[Backend]) -> Registry:
    """The built-in stages and tasks, and these backends."""
    plugin = SimpleNamespace(edgeprep_backends=hookimpl(lambda: [*backends]))
    registry = Registry(installed=False)
    registry.register("benchmark", plugin)
    return registry
