"""What exporters start from: one network, its preprocessing, its calibration samples."""

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.conversion.silence import without_known_warnings
from edgeprep.errors import ExportError, RecipeError
from edgeprep.interfaces import Quantization, Source
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


class _Network(torch.nn.Module):
    """The user's network behind a tuple of outputs, so that module paths start with `network.`."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, preprocessed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(flatten_outputs(self.network(preprocessed)).values())


class _Deployed(torch.nn.Module):
    def __init__(self, preprocessing: torch.nn.Module, network: torch.nn.Module) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(flatten_outputs(self.network(self.preprocessing(image))).values())


class _Made:
    """What is made once of one network and one chain, and is the same however it is quantized."""

    def __init__(
        self, network: torch.nn.Module, chain: Chain, calibration: NDArray[np.uint8]
    ) -> None:
        self.users = network
        self.chain = chain
        self.calibration = calibration

    @cached_property
    def network(self) -> torch.nn.Module:
        return _Network(self.users).eval()

    @cached_property
    def deployed(self) -> torch.nn.Module:
        return _Deployed(ChainModule(self.chain), self.users).eval()

    @cached_property
    def preprocessing_onnx(self) -> bytes:
        return build_onnx(self.chain, opset=_OPSET)

    @cached_property
    def network_onnx(self) -> bytes:
        try:
            with without_known_warnings():
                program = torch.onnx.export(
                    self.network,
                    (torch.zeros(self.network_input.shape),),
                    dynamo=True,
                    external_data=False,
                    opset_version=_OPSET,
                    input_names=[self.network_input.name],
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
        return bytes(program.model_proto.SerializeToString())

    @cached_property
    def calibration_preprocessed(self) -> NDArray[np.float32]:
        chain, F = self.chain, NumpyPrimitives()
        none = np.empty((0, *self.network_input.shape[1:]), np.float32)
        samples = [chain.apply(F, sample[np.newaxis]) for sample in self.calibration]
        return np.concatenate([none, *samples])

    @property
    def network_input(self) -> TensorSpec:
        image = self.chain.output
        return TensorSpec(name="preprocessed", shape=image.shape(), dtype=image.dtype)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return trace_outputs(self.users, self.network_input)


class NetworkSource(Source):
    """One placement of one network: `chain` is the part of the preprocessing in the graph.

    Args:
        network: the user's network, in eval mode.
        chain: from uint8 pictures of a fixed size to what `network` takes.
        calibration: `(samples, H, W, C)`, uint8, as `chain` takes them.
        scratch: an existing directory for temporary files.

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
    ) -> None:
        self._scratch = scratch
        self._keep_float: tuple[str, ...] = ()
        self._quantization = Quantization()
        # Copies of this source share it: an export takes seconds, and trials are many.
        self._made = _Made(network, chain, calibration)
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

    def run(self, image: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """What the source computes for `(1, H, W, C)` uint8: what variants are held to.

        Raises:
            RecipeError: the network raises, though it took zeros when this source was made.
        """
        try:
            with torch.inference_mode():
                outputs = self.deployed(torch.from_numpy(np.ascontiguousarray(image)))
        except (Exception, SystemExit) as error:  # the user's forward may raise anything
            raise RecipeError(
                "model.factory: the network must take every picture of the data, "
                f"got {name_fault(error)}"
            ) from error
        return tuple(output.numpy() for output in outputs)
