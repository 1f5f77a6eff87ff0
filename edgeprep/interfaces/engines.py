"""What runs models on a device."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.burst import measure_burst, measure_busy
from edgeprep.errors import BackendError
from edgeprep.interfaces.quantization import WeightRange
from edgeprep.tensors import TensorSpec

__all__ = [
    "CALIBRATED",
    "Absent",
    "Backend",
    "Device",
    "DeviceKind",
    "Model",
    "Options",
    "Placement",
    "Precision",
    "Runner",
    "Width",
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
# What a candidate for throughput is asked for besides. "batch": so many pictures a call, of which
# inputs and outputs have that many in their first axis. "calls": so many calls at once, which the
# runner computes side by side and not one after another, each on as many threads as "threads" says.
Width = Literal["batch", "calls"]


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


class Absent(Struct, frozen=True, kw_only=True):
    """A place where a backend could run models, and cannot on this machine.

    Attributes:
        name: what the device would be called.
        kind: of which kind it would be.
        reason: what is missing, and where it is known what to install.
    """

    name: str
    kind: DeviceKind
    reason: str


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

    @property
    def batch(self) -> int:
        """How many requests `run_together` computes in one call of the engine, at the most."""
        return 1

    def run_together(
        self, requests: Sequence[Sequence[NDArray[Any]]]
    ) -> tuple[tuple[NDArray[Any], ...], ...]:
        """The outputs for each of `requests`, which are as for `run`, in their order."""
        return tuple(self.run(inputs) for inputs in requests)

    def measure_burst(self, inputs: Sequence[NDArray[Any]]) -> list[float]:
        """Milliseconds of each of a short run of calls of `run`, timed where the engine is."""
        return measure_burst(lambda: self.run(inputs))

    def measure_busy(self, inputs: Sequence[NDArray[Any]], calls: int) -> list[float]:
        """Milliseconds a request, where `calls` threads keep the engine busy, timed where it is.

        What it can compute together, it does: then what counts is a call's share of it.
        """
        return measure_busy(lambda: self.run(inputs), calls)

    @abstractmethod
    def close(self) -> None:
        """Let go of the engine. Calling it again does nothing."""

    def compiled(self) -> bytes | None:
        """What `Backend.load_compiled` makes this runner of again; None: nothing shorter.

        Raises:
            BackendError: the engine cannot give it after all.
        """
        return None


class Backend(ABC):
    """A library that runs one or more formats.

    Class attributes say what it is without importing the library: `formats` that it runs, and
    `requires`, the importable names of the modules that it needs. Constructing it imports them.
    `widths` are options that `load` takes of itself; without "calls", as many runners are loaded.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    requires: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""  # what to tell pip, such as "edgeprep-onnx[runtime]"
    widths: ClassVar[tuple[Width, ...]] = ()

    @abstractmethod
    def devices(self) -> tuple[Device, ...]:
        """The devices that this library can reach on this machine; the CPU comes first."""

    def absent(self) -> tuple[Absent, ...]:
        """The devices that this library knows and cannot reach here, each with the reason."""
        return ()

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

    def compiled_for(self, device: Device) -> str | None:
        """What a compiled form depends on besides the model and the options; None: there is none.

        Such as the versions of the library and the driver, and the chip: a form is used again only
        where all of it is the same.
        """
        return None

    def load_compiled(
        self, compiled: bytes, model: Model, device: Device, options: Options
    ) -> Runner:
        """As `load`, from what `Runner.compiled` of such a runner gave; quicker.

        Nobody else has changed those bytes, as far as a digest tells. What is wrong with them may
        be found here, or by the golden samples.

        Raises:
            BackendError: the library refuses it; then the model is compiled again.
        """
        raise BackendError(f"backend {self.name!r}: has no compiled form of a model to load")

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """What results and speed depend on, such as library and driver versions."""
