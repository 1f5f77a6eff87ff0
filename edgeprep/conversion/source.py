"""What exporters start from: one network, its preprocessing, its calibration samples."""

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.conversion.flat import flat_network, flat_samples
from edgeprep.conversion.onnx_ends import name_ends
from edgeprep.conversion.silence import without_known_warnings
from edgeprep.errors import ExportError, RecipeError
from edgeprep.interfaces import Quantization, Source
from edgeprep.runtime.memory import answer
from edgeprep.schema.foreign import name_fault
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs, trace_outputs

__all__ = ["NetworkSource", "flatten_outputs"]

# ONNX Runtime and OpenVINO both read every operator of a vision network at 20.
_OPSET = 20
_INPUT = "edgeprep.input."


class _Network(torch.nn.Module):
    """The user's network behind a tuple of outputs, so that module paths start with `network.`.

    A network of clips takes `(1, frames, …)`, where a graph has the frames in its first axis.
    """

    def __init__(self, network: torch.nn.Module, *, is_clip: bool) -> None:
        super().__init__()
        self.network = network
        self._is_clip = is_clip

    def forward(
        self, preprocessed: torch.Tensor, *states: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        taken = preprocessed.unsqueeze(0) if self._is_clip else preprocessed
        return tuple(flatten_outputs(self.network(taken, *states)).values())


class _Deployed(torch.nn.Module):
    def __init__(
        self, preprocessing: torch.nn.Module, network: torch.nn.Module, *, is_clip: bool
    ) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self._is_clip = is_clip

    def forward(self, image: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        taken = self.preprocessing(image)
        taken = taken.unsqueeze(0) if self._is_clip else taken
        return tuple(flatten_outputs(self.network(taken, *states)).values())


class _Made:
    """What is made once of one network and one chain, and is the same however it is quantized."""

    def __init__(
        self,
        network: torch.nn.Module,
        chain: Chain,
        calibration: NDArray[np.uint8],
        states: tuple[TensorSpec, ...],
        starts: Sequence[int],
    ) -> None:
        self.users = network
        self.chain = chain
        self.calibration = calibration
        self.states = states
        self.starts = starts

    @cached_property
    def network(self) -> torch.nn.Module:
        return _Network(self.users, is_clip=self._is_clip).eval()

    @cached_property
    def deployed(self) -> torch.nn.Module:
        preprocessing = ChainModule(self.chain)
        return _Deployed(preprocessing, self.users, is_clip=self._is_clip).eval()

    @cached_property
    def preprocessing_onnx(self) -> bytes:
        return build_onnx(self.chain, opset=_OPSET)

    @cached_property
    def network_onnx(self) -> bytes:
        taken = (self.network_input, *self.states)
        try:
            with without_known_warnings():
                program = torch.onnx.export(
                    self.network,
                    tuple(torch.zeros(spec.shape) for spec in taken),
                    dynamo=True,
                    external_data=False,
                    opset_version=_OPSET,
                    # Names of states may be those that torch gives to values inside.
                    input_names=[f"{_INPUT}{index}" for index in range(len(taken))],
                    output_names=[output.name for output in self.outputs],
                    verbose=False,
                )
        except Exception as error:  # torch.export lets out errors of every kind
            # torch puts advice of its own, several pages long, in front of what was wrong.
            fault = name_fault(error.__cause__ or error)
            raise ExportError(
                f"onnx: torch.onnx.export must take the network, got {fault}"
            ) from error
        if program is None:
            raise ExportError("onnx: torch.onnx.export must return a program, got None")
        model = program.model_proto
        name_ends(model, _INPUT, [spec.name for spec in taken], [one.name for one in self.outputs])
        return bytes(model.SerializeToString())

    @cached_property
    def calibration_preprocessed(self) -> NDArray[np.float32]:
        chain, F = self.chain, NumpyPrimitives()
        none = np.empty((0, *self.network_input.shape[1:]), np.float32)
        rows = chain.input.batch
        samples = [
            chain.apply(F, self.calibration[first : first + rows])
            for first in range(0, len(self.calibration), rows)
        ]
        return np.concatenate([none, *samples])

    @cached_property
    def calibration_states(self) -> tuple[NDArray[np.float32], ...]:
        """Found by running the clips frame by frame, each from zeros on."""
        if not self.states:
            return ()
        kept: list[list[torch.Tensor]] = [[torch.empty(0, *one.shape[1:])] for one in self.states]
        starts = {*self.starts, 0}
        now: tuple[torch.Tensor, ...] = ()
        for index, sample in enumerate(self.calibration_preprocessed):
            if index in starts:
                now = tuple(torch.zeros(state.shape) for state in self.states)
            for states, state in zip(kept, now, strict=True):
                states.append(state)
            with torch.inference_mode():
                now = self.network(torch.from_numpy(sample[np.newaxis].copy()), *now)
            now = now[len(now) - len(self.states) :]
        return tuple(torch.cat(states).numpy() for states in kept)

    @cached_property
    def network_input(self) -> TensorSpec:
        image = self.chain.output
        return TensorSpec(name="preprocessed", shape=image.shape(), dtype=image.dtype)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        taken = self.network_input
        if self._is_clip:
            taken = replace(taken, shape=(1, *taken.shape))
        return trace_outputs(self.users, taken, self.states)

    @property
    def _is_clip(self) -> bool:
        return self.chain.input.batch > 1


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
        self._made = _Made(network, chain, calibration, states, starts)
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
        layers, not at what they are given.
        """
        network = self.network.get_submodule("network")
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
