"""What single stages cost in the graph of a format: its time with them, less that without."""

from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Backend, Exporter, Model, Runner
from edgeprep.registry import Registry, create
from edgeprep.runtime.candidates import construct
from edgeprep.runtime.timing import measure_burst, summarize
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType

__all__ = ["GraphBench"]

_BURSTS = 5


class GraphBench:
    """The preprocessing of one graph in one format, timed as it grows stage by stage.

    A stage alone would see other pictures than in its place, and planes, tiles and normalized
    values arrive in no graph.

    Args:
        format_: of the graphs.
        graph: the preprocessing in the graph, from uint8 pictures of one size.
        registry: where the exporter and the backends of the format are looked up.
        scratch: an existing directory for temporary files.

    Raises:
        EdgePrepError: there is no exporter, or no backend, that can be used here.
    """

    def __init__(self, format_: str, graph: Chain, registry: Registry, scratch: Path) -> None:
        self._exporter: Exporter = create(registry.get("exporter", format_))
        ready = [construct(cls) for cls in registry.backends_for(format_)]
        backends = [backend for backend in ready if isinstance(backend, Backend)]
        if not backends:
            rule = f"format {format_!r}: must have a backend that runs it here"
            raise RecipeError(f"{rule}, got {ready!r}; see `edgeprep doctor` for what is installed")
        self._backend = backends[0]
        self._graph = graph
        self._scratch = scratch
        self._models: dict[int, Model] = {}
        self._picture = np.random.default_rng(0).integers(
            0, 256, graph.input.shape(), dtype=np.uint8
        )

    def measure(self, index: int) -> float:
        """Milliseconds of the graph's stage `index`, on one thread where the engine has threads.

        Raises:
            EdgePrepError: the graph up to this stage cannot be exported, or does not run.
        """
        with (
            closing(self._load(index + 1)) as longer,
            closing(self._load(index)) as shorter,
        ):
            # In turns: whatever else the machine does disturbs both.
            turns = [(self._burst(longer), self._burst(shorter)) for _ in range(_BURSTS)]
        with_stage, without = (summarize(bursts).median_ms for bursts in zip(*turns, strict=True))
        return max(with_stage - without, 0.0)

    def _burst(self, runner: Runner) -> list[float]:
        return measure_burst(lambda: runner.run((self._picture,)))

    def _load(self, count: int) -> Runner:
        if count not in self._models:
            source = NetworkSource(
                torch.nn.Identity(), self._first(count), self._picture, scratch=self._scratch
            )
            self._models[count] = self._exporter.export(source, "fp32")
        device = self._backend.devices()[0]
        options = self._backend.options(device, "fp32")[0]
        return self._backend.load(self._models[count], device, options)

    def _first(self, count: int) -> Chain:
        """The first stages of the graph, and float32 at their end."""
        image = self._graph.input
        if not count and image.is_planar:
            # Planes are no pixels to convert. Grey pictures are as many numbers.
            image = image.replace(height=image.rows, color="grey")
        chain = Chain(input=image, stages=self._graph.stages[:count])
        if chain.output.dtype == "float32":
            return chain
        return Chain(input=image, stages=(*chain.stages, DType()))
