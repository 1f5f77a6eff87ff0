"""What copies of a source share: modules, ONNX models and calibration samples, each made once."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.conversion.onnx_ends import name_ends
from edgeprep.conversion.silence import without_known_warnings
from edgeprep.errors import ExportError
from edgeprep.schema.foreign import name_fault
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs, trace_outputs

__all__ = ["Made"]

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


class Made:
    """What is made once of one network and one chain, and is the same however it is quantized.

    Its attributes are those of `NetworkSource`, which says what they are.
    """

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
        """The network behind a tuple of outputs."""
        return _Network(self.users, is_clip=self.is_clip).eval()

    @cached_property
    def deployed(self) -> torch.nn.Module:
        """Preprocessing and network."""
        preprocessing = ChainModule(self.chain)
        return _Deployed(preprocessing, self.users, is_clip=self.is_clip).eval()

    @cached_property
    def preprocessing_onnx(self) -> bytes:
        """The preprocessing alone."""
        return build_onnx(self.chain, opset=_OPSET)

    @cached_property
    def network_onnx(self) -> bytes:
        """The network alone, from torch.onnx's exporter on torch.export.

        Raises:
            ExportError: torch cannot export the network.
        """
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
        """The samples as the network takes them."""
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
        """What the network takes first."""
        image = self.chain.output
        return TensorSpec(name="preprocessed", shape=image.shape(), dtype=image.dtype)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it returns."""
        taken = self.network_input
        if self.is_clip:
            taken = replace(taken, shape=(1, *taken.shape))
        return trace_outputs(self.users, taken, self.states)

    @property
    def is_clip(self) -> bool:
        """Whether the network takes several frames at once."""
        return self.chain.input.batch > 1
