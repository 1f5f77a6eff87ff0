"""What an exporter starts from, and what writes a format."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.interfaces.engines import Model, Precision
from edgeprep.interfaces.quantization import Quantization, RangeCoverage
from edgeprep.tensors import TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["Exporter", "Feeds", "Source"]

# What a graph takes, sample by sample: a picture or the frames of a clip, and the states.
Feeds = Iterable[tuple[NDArray[Any], ...]]


class Source(ABC):
    """What an exporter starts from: the network, its preprocessing and its calibration samples.

    The graph that an exporter writes takes uint8 pictures `(1, H, W, C)` and returns the network's
    outputs as float32; the preprocessing is inside and no quantizer touches it. It stays in float
    at every precision, but for what is in whole levels anyway, or becomes so right before int8.
    A network that remembers takes its states after the picture, and returns the new ones after its
    other outputs: float32 at the graph's border, at every precision.
    Expensive parts are computed once and shared by all exporters.
    """

    @property
    @abstractmethod
    def network(self) -> "torch.nn.Module":
        """The network alone, in eval mode: float32, in the chain's last layout, to outputs.

        The outputs are always a tuple of tensors.
        """

    @property
    @abstractmethod
    def deployed(self) -> "torch.nn.Module":
        """Preprocessing and network in one module: uint8 `(1, H, W, C)` to a tuple of outputs.

        The states come after the picture.

        The network is its submodule `network`, the preprocessing its submodule `preprocessing`.
        """

    @property
    @abstractmethod
    def preprocessing_onnx(self) -> bytes:
        """The preprocessing alone as an ONNX model: `image`, uint8 NHWC, to `preprocessed`."""

    @property
    @abstractmethod
    def network_onnx(self) -> bytes:
        """The network alone as an ONNX model: `preprocessed` and the states, to its outputs."""

    @property
    @abstractmethod
    def input(self) -> TensorSpec:
        """The graph's input: `image`, uint8, `(1, H, W, C)`; of clips `(frames, H, W, C)`."""

    @property
    @abstractmethod
    def network_input(self) -> TensorSpec:
        """The network's input: `preprocessed`, float32."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs, float32, named in order; the new states are the last of them."""

    @property
    def states(self) -> tuple[TensorSpec, ...]:
        """What the network takes after the picture, and starts with zeros of; () for most."""
        return ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """All that the graph takes, in order."""
        return self.input, *self.states

    @property
    def network_inputs(self) -> tuple[TensorSpec, ...]:
        """All that the network takes, in order."""
        return self.network_input, *self.states

    @property
    def answers(self) -> tuple[TensorSpec, ...]:
        """The outputs but for the new states."""
        return self.outputs[: len(self.outputs) - len(self.states)]

    @property
    @abstractmethod
    def calibration(self) -> NDArray[np.uint8]:
        """Calibration samples as the graph takes them: `(samples, H, W, C)`, uint8.

        Those of a clip are one after the other.
        """

    @property
    @abstractmethod
    def calibration_preprocessed(self) -> NDArray[np.float32]:
        """The same samples as the network takes them: `(samples, …)`, float32.

        Where the chain makes several pictures of one, those of a sample are one after the other.
        """

    @property
    def calibration_states(self) -> tuple[NDArray[np.float32], ...]:
        """What the network has in each of its states before each sample: `(samples, …)`."""
        return ()

    @property
    def calibration_starts(self) -> tuple[int, ...]:
        """With which calibration samples a clip begins; () where each stands for itself."""
        return ()

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of one whole sample, as passes hand it to the network that they are given.

        It is `network_input.shape`; for a network of clips `(1, frames, …)`. One that remembers
        goes through clips: `(1, 2, …)`, as short as they can be.
        """
        shape = self.network_input.shape
        if self.states:
            return 1, 2, *shape[1:]
        return (1, *shape) if self.input.shape[0] > 1 else shape

    def whole_samples(self) -> list[NDArray[np.float32]]:
        """The calibration samples, each like `sample_shape`; clips are as long as they are."""
        every = self.calibration_preprocessed
        if self.states:
            ends = (*sorted({0, *self.calibration_starts}), len(every))
            clips = (every[start:end] for start, end in itertools.pairwise(ends))
            return [clip[np.newaxis] for clip in clips if len(clip)]
        rows, shape = self.network_input.shape[0], self.sample_shape
        count = len(every) // rows
        return list(every[: count * rows].reshape(count, *shape))

    def graph_feeds(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """What the graph takes for each calibration sample, in order."""
        return _feeds(self.calibration, self.input, self.calibration_states)

    def network_feeds(self) -> Iterator[tuple[NDArray[np.float32], ...]]:
        """What the network takes for each calibration sample, in order."""
        return _feeds(self.calibration_preprocessed, self.network_input, self.calibration_states)

    @property
    @abstractmethod
    def keep_float(self) -> tuple[str, ...]:
        """Module paths that quantization must leave in float, with all that is inside them.

        Spelt as in `network.named_modules()` and `deployed.named_modules()`: both hold the
        user's network as their submodule `network`, so that every path starts with `network.`.
        """

    @property
    @abstractmethod
    def quantization(self) -> Quantization:
        """How ranges and weights become integers, where the precision asks for it."""

    @property
    @abstractmethod
    def scratch(self) -> "Path":
        """An existing directory for temporary files; it is removed when the conversion ends."""


def _feeds(
    samples: NDArray[Any], taken: TensorSpec, states: tuple[NDArray[np.float32], ...]
) -> Iterator[tuple[NDArray[Any], ...]]:
    rows = taken.shape[0]
    for index in range(len(samples) // rows):
        sample = samples[index * rows : (index + 1) * rows]
        yield sample, *(state[index : index + 1] for state in states)


class Exporter(ABC):
    """Writes one format. Its fields are the extra keys of a recipe's `[[target]]` table.

    Attributes:
        name: the format.
        precisions: those that it can write.
        requires: the importable names of the modules that it needs.
        install: what to tell pip where one of them is missing, such as "edgeprep-onnx[convert]".
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]]
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""

    @abstractmethod
    def export(self, source: Source, precision: Precision) -> Model:
        """The model in this format, `source.inputs` to `source.outputs`.

        Raises:
            ExportError: every road to this format failed; the message names each with its reason.
        """

    def coverage(
        self, source: Source, precision: Precision, evaluation: Feeds | None = None
    ) -> tuple[RangeCoverage, ...]:
        """How the ranges of activations fit what occurs, in the order of the graph.

        Args:
            source: as it is exported; its calibration samples are gone through again.
            precision: one of `CALIBRATED`; others have no ranges.
            evaluation: other samples, each all inputs of the graph; gone through once.

        Returns:
            One a quantized activation; () where this exporter does not say.

        Raises:
            ExportError: the model cannot be written at this precision.
        """
        return ()
