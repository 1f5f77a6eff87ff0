"""What runs models on a device."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.interfaces.quantization import WeightRange
from edgeprep.tensors import TensorSpec

__all__ = [
    "CALIBRATED",
    "Backend",
    "Device",
    "DeviceKind",
    "Model",
    "Options",
    "Placement",
    "Precision",
    "Runner",
]

# What a variant computes in. "int8": weights and activations, by ranges that were measured before;
# "int8-int16": the same with activations in 16 bits; "int8-dynamic": by ranges of the moment;
# "int8-weight-only": computation in float, from weights that are stored in 8 bits.
Precision = Literal[
    "fp32", "fp16", "bf16", "int8", "int8-int16", "int8-dynamic", "int8-weight-only"
]
# Those that need samples to measure ranges on.
CALIBRATED: tuple[Precision, ...] = ("int8", "int8-int16")
# Where the chain is cut: all of it in the graph, as little as possible, or all but the steps up to
# a fixed size.
Placement = Literal["graph", "host", "split"]
DeviceKind = Literal["cpu", "gpu", "npu", "dsp"]
# How a candidate is run, such as {"threads": 2} or {"threads": 1, "precision": "bf16"}.
Options = Mapping[str, int | str]


class Model(Struct, frozen=True, kw_only=True):
    """One exported network, held in memory as the engine will read it.

    Attributes:
        format: the exporter's format, such as "onnx".
        files: content by file name. A single file, or the few that belong together.
    """

    format: str
    files: Mapping[str, bytes]

    @property
    def size_bytes(self) -> int:
        """The total size of all files."""
        return sum(len(content) for content in self.files.values())


class Device(Struct, frozen=True, kw_only=True):
    """A place where a backend can run models."""

    name: str
    kind: DeviceKind
    description: str = ""


class Runner(ABC):
    """One loaded candidate. `run` may be called from any number of threads at once."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, in the order in which `run` takes them."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, in the order in which `run` returns them."""

    @abstractmethod
    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The outputs for `inputs`, which match `self.inputs` and are C-contiguous.

        The arrays returned belong to the caller: no later call changes them.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the engine. Calling it again does nothing."""


class Backend(ABC):
    """A library that runs one or more formats.

    Class attributes say what it is without importing the library: `formats` that it runs, and
    `requires`, the importable names of the modules that it needs. Constructing it imports them.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""  # what to tell pip, such as "edgeprep-onnx[runtime]"

    @abstractmethod
    def devices(self) -> tuple[Device, ...]:
        """The devices that this library can reach on this machine; the CPU comes first."""

    @abstractmethod
    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        """The ways worth measuring on `device`, the numerically most exact one first."""

    def refuse(self, device: Device, precision: Precision, weight_range: WeightRange) -> str | None:
        """Why a variant's numbers would be wrong on `device`, which no error tells; None: right.

        Args:
            device: one of `devices()`.
            precision: of the variant.
            weight_range: how its weights became integers, where they did.
        """
        return None

    @abstractmethod
    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """`model` on `device`, from the bytes that `model` holds and nothing else.

        Raises:
            BackendError: the library refuses the model, the device or the options.
        """

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """What results and speed depend on, such as library and driver versions."""
