"""What exporters start from: one network, its preprocessing, its calibration samples."""

from collections.abc import Sequence
from copy import copy
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.conversion.flat import flat_network, flat_samples
from edgeprep.conversion.made import Made
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Quantization, Source
from edgeprep.runtime.memory import answer
from edgeprep.schema.foreign import name_fault
from edgeprep.stages.chain import Chain
from edgeprep.tensors import TensorSpec

__all__ = ["NetworkSource"]


class NetworkSource(Source):
    """One placement of one network: `chain` is the part of the preprocessing in the graph.

    Args:
        network: the user's network, in eval mode.
        chain: from uint8 pictures of a fixed size to what `network` takes.
        calibration: `(samples, H, W, C)`, uint8, as `chain` takes them.
        scratch: an existing directory for temporary files.
        states: what `network` takes after the picture.
        starts: with which of the calibration samples a clip begins, besides the first.

    Raises:
        RecipeError: the network cannot take what the chain gives, or returns no tensors.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        chain: Chain,
        calibration: NDArray[np.uint8],
        *,
        scratch: Path,
        states: tuple[TensorSpec, ...] = (),
        starts: Sequence[int] = (),
    ) -> None:
        self._scratch = scratch
        self._keep_float: tuple[str, ...] = ()
        self._quantization = Quantization()
        # Copies of this source share it: an export takes seconds, and trials are many.
        self._made = Made(network, chain, calibration, states, starts)
        self._outputs = self._made.outputs

    def keeping(self, keep_float: tuple[str, ...]) -> "NetworkSource":
        """The same source with other layers kept in float."""
        other = copy(self)
        other._keep_float = tuple(f"network.{path}" for path in keep_float)
        return other

    def quantized_by(self, policy: Quantization) -> "NetworkSource":
        """The same source with another policy for quantizers."""
        other = copy(self)
        other._quantization = policy
        return other

    @property
    def network(self) -> torch.nn.Module:
        """See `Source.network`."""
        return self._made.network

    @property
    def users_network(self) -> torch.nn.Module:
        """The network as the recipe's factory, or a pass, has made it."""
        return self._made.users

    @property
    def deployed(self) -> torch.nn.Module:
        """See `Source.deployed`."""
        return self._made.deployed

    @property
    def preprocessing_onnx(self) -> bytes:
        """See `Source.preprocessing_onnx`."""
        return self._made.preprocessing_onnx

    @property
    def network_onnx(self) -> bytes:
        """See `Source.network_onnx`; from torch.onnx's exporter on torch.export.

        Raises:
            ExportError: torch cannot export the network.
        """
        return self._made.network_onnx

    @property
    def input(self) -> TensorSpec:
        """See `Source.input`."""
        return TensorSpec(name="image", shape=self._made.chain.input.shape(), dtype="uint8")

    @property
    def network_input(self) -> TensorSpec:
        """See `Source.network_input`."""
        return self._made.network_input

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """See `Source.outputs`."""
        return self._outputs

    @property
    def states(self) -> tuple[TensorSpec, ...]:
        """See `Source.states`."""
        return self._made.states

    @property
    def calibration_starts(self) -> tuple[int, ...]:
        """See `Source.calibration_starts`."""
        return tuple(self._made.starts)

    @property
    def calibration_states(self) -> tuple[NDArray[np.float32], ...]:
        """See `Source.calibration_states`."""
        return self._made.calibration_states

    @property
    def calibration(self) -> NDArray[np.uint8]:
        """See `Source.calibration`."""
        return self._made.calibration

    @property
    def calibration_preprocessed(self) -> NDArray[np.float32]:
        """See `Source.calibration_preprocessed`."""
        return self._made.calibration_preprocessed

    @property
    def keep_float(self) -> tuple[str, ...]:
        """See `Source.keep_float`."""
        return self._keep_float

    @property
    def quantization(self) -> Quantization:
        """See `Source.quantization`."""
        return self._quantization

    @property
    def scratch(self) -> Path:
        """See `Source.scratch`."""
        return self._scratch

    def run(
        self, image: NDArray[np.uint8], *states: NDArray[np.float32]
    ) -> tuple[NDArray[Any], ...]:
        """What the source computes: what variants are held to.

        Args:
            image: `(1, H, W, C)`, or the frames of a clip.
            states: those before it.

        Raises:
            RecipeError: the network raises, though it took zeros when this source was made.
        """
        try:
            with torch.inference_mode():
                taken = (torch.from_numpy(np.ascontiguousarray(each)) for each in (image, *states))
                outputs = self.deployed(*taken)
        except (Exception, SystemExit) as error:  # the user's forward may raise anything
            raise RecipeError(
                "model.factory: the network must take every picture of the data, "
                f"got {name_fault(error)}"
            ) from error
        return tuple(output.numpy() for output in outputs)

    def answer(self, sample: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """The outputs for one sample, which may be a clip, without the new states.

        Raises: see `run`.
        """
        return answer(lambda inputs: self.run(*inputs), sample, self._made.states)

    def taking(self, samples: NDArray[np.uint8]) -> list[tuple[NDArray[Any], ...]]:
        """All inputs for each frame of a clip, with the states as they are when it comes."""
        feeds = []

        def run(inputs: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
            feeds.append(inputs)
            return self.run(*inputs)

        answer(run, samples, self._made.states)
        return feeds

    def one_input(self) -> tuple[torch.nn.Module, NDArray[np.float32], int]:
        """The user's network with one input, calibration samples for it, and how many make one.

        Its modules are those of the user's network, under the same paths. For what looks at
        the layers of one call, not at what they are given.
        """
        network = self.users_network
        taken, rows = self.network_input, self.network_input.shape[0]
        samples = self.calibration_preprocessed
        if self._made.states:
            flat = flat_network(network, (taken, *self._made.states))
            return flat, flat_samples(self.network_feeds()), 1
        if self._made.chain.input.batch > 1:
            return network, samples.reshape(-1, *taken.shape), 1
        return network, samples, rows

    def example(self) -> torch.Tensor:
        """Zeros, as `one_input` takes them."""
        if self._made.states:
            return torch.zeros(1, sum(prod(spec.shape) for spec in self.network_inputs))
        shape = self.network_input.shape
        return torch.zeros((1, *shape) if self._made.chain.input.batch > 1 else shape)
