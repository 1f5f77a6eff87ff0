"""What a plugin offers: stages, passes, exporters, backends and tasks; and what they exchange.

Every class here is implemented by plugins and called by edgeprep. Each names itself with class
attributes, so that listing never constructs anything. Stages, passes, exporters and tasks are
frozen dataclasses whose fields are the keys of their table in a recipe.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.errors import PluginError, RecipeError
from edgeprep.geometry import IDENTITY, Affine
from edgeprep.tensors import DType, ImageSpec, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = [
    "Backend",
    "Device",
    "DeviceKind",
    "Exporter",
    "FileStage",
    "Model",
    "Network",
    "Options",
    "Pass",
    "Placement",
    "Precision",
    "Primitives",
    "RandomStage",
    "Runner",
    "Source",
    "Stage",
    "StreamStage",
    "Task",
]

Precision = Literal["fp32", "fp16", "int8"]
# Where the chain is cut: all of it in the graph, as little as possible, or all but the steps up to
# a fixed size.
Placement = Literal["graph", "host", "split"]
DeviceKind = Literal["cpu", "gpu", "npu", "dsp"]
# How a candidate is run, such as {"threads": 2} or {"threads": 1, "precision": "bf16"}.
Options = Mapping[str, int | str]

T = TypeVar("T")


class Primitives(Protocol[T]):
    """The operations that stages are written in; `T` is an array, a torch tensor or a graph value.

    Every operation has a static shape and means the same in all interpreters. Values are uint8 or
    float32; arithmetic takes float32 on both sides. Where `NDArray` is accepted, a constant of the
    graph is meant.

    Attributes:
        level_type: uint8 or float32, in whichever whole levels in 0..255 are compared quickest.
    """

    level_type: DType

    def shape(self, x: T) -> tuple[int, ...]:
        """The length of every axis of `x`."""

    def cast(self, x: T, dtype: DType) -> T:
        """`x` as `dtype`; nothing is done where it is that already. Whole values only to uint8."""

    def reshape(self, x: T, shape: Sequence[int]) -> T:
        """The same elements in C order under another shape."""

    def transpose(self, x: T, axes: Sequence[int]) -> T:
        """Axis `i` of the result is axis `axes[i]` of `x`."""

    def slice(self, x: T, axis: int, start: int, stop: int) -> T:
        """The elements `start` to `stop - 1` along `axis`; both lie within the axis."""

    def reverse(self, x: T, axis: int) -> T:
        """`x` with `axis` back to front."""

    def concat(self, parts: Sequence[T], axis: int) -> T:
        """`parts`, of one dtype, one after the other along `axis`."""

    def gather(self, x: T, axis: int, indices: NDArray[np.int64]) -> T:
        """Element `i` along `axis` is element `indices[i]` of `x`; indices are not negative."""

    def pad(self, x: T, axis: int, before: int, after: int, value: int) -> T:
        """`x`, float32, with so many elements of `value` added before and after along `axis`."""

    def matmul(self, a: T | NDArray[np.float32], b: T | NDArray[np.float32]) -> T:
        """The matrix product over the last two axes; the axes before them broadcast."""

    def add(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a + b`, broadcast as in numpy; a constant has no more elements than `a`."""

    def subtract(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a - b`, broadcast likewise."""

    def multiply(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """`a * b`, broadcast likewise."""

    def scale_channels(self, x: T, factor: NDArray[np.float32], offset: NDArray[np.float32]) -> T:
        """`x * factor + offset`, rounded twice: `(N, H, W, C)`, uint8 or float32, to float32.

        `factor` and `offset` have C elements. For numpy, where this is twice as fast as its parts.
        """

    def divide(self, a: T, b: T) -> T:
        """`a / b`, broadcast likewise; where `b` is 0 the result is not to be used.

        OpenVINO may be one bit off; see `edgeprep.stages.division` where a rounding follows.
        """

    def minimum(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """The lesser of each pair, broadcast likewise; also of two of `level_type`."""

    def maximum(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """The greater of each pair, broadcast likewise; also of two of `level_type`."""

    def greater(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """1.0 where `a > b`, else 0.0; broadcast likewise."""

    def equal(self, a: T, b: T | NDArray[np.float32] | float) -> T:
        """1.0 where `a == b`, else 0.0; broadcast likewise. For whole values."""

    def select(self, mask: T, a: T, b: T) -> T:
        """`a` where `mask` is 1.0, `b` where it is 0.0; all three of one shape."""

    def absolute(self, x: T) -> T:
        """Each element without its sign."""

    def sqrt(self, x: T) -> T:
        """The square root of each element; none is negative."""

    def exp(self, x: T) -> T:
        """The exponential function of each element."""

    def power(self, x: T, exponent: float) -> T:
        """Each element to the power of a constant above 0; no element is negative."""

    def reduce_sum(self, x: T, axes: Sequence[int]) -> T:
        """The sum over `axes`, which stay with length 1."""

    def reduce_min(self, x: T, axes: Sequence[int]) -> T:
        """The least over `axes`, which stay with length 1."""

    def reduce_max(self, x: T, axes: Sequence[int]) -> T:
        """The greatest over `axes`, which stay with length 1."""

    def lookup(self, tables: T, indices: T) -> T:
        """Element `indices[n, …]` of row `n` of `tables`.

        Args:
            tables: `(N, L)`, float32.
            indices: `(N, …)`, float32, whole and in 0 to L - 1.
        """

    def histogram(self, x: T) -> T:
        """`(N, P)`, float32, whole values in 0..255, to how often each occurs: `(N, 256)`."""

    def ranked(self, x: T, rank: int) -> T:
        """`(N, P)`, float32, whole values in 0..255, to the `rank`-th least of each row: `(N, 1)`.

        1 is the least, P the greatest.
        """

    def clip(self, x: T, low: float, high: float) -> T:
        """`x`, float32, held between `low` and `high`."""

    def floor(self, x: T) -> T:
        """The greatest whole number that is not above each element."""

    def round(self, x: T) -> T:
        """The nearest whole number to each element; of two, the even one."""

    def grow(self, seeds: T, within: T, steps: int) -> T:
        """`(N, H, W)`, 1.0 or 0.0: `seeds`, and all of `within` that is at most `steps` from one.

        A step goes to any of the eight neighbours and stays within; seeds are within.
        """

    def by_strips(self, x: T, overlap: int, of: Callable[[T], T]) -> T:
        """`of(x)`, of which an interpreter may make a few rows at a time to need less memory.

        Args:
            x: `(N, H + overlap, …)`.
            overlap: how many more rows go in than come out.
            of: takes `(N, h + overlap, …)` to `(N, h, …)` for any h; row `i` of the result depends
                on rows `i` to `i + overlap` alone, and no matrix product is in it.
        """

    def resize_linear(self, x: T, height: int, width: int) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32.

        Two neighbours along each axis, pixel centres at half-integers, edges clamped.
        """

    def network(self, x: T, network: "Network") -> T:
        """The first output of `network`, float32, for uint8 `(N, H, W, C)` of its size.

        N is 1 in graphs.
        """

    def resample(
        self, x: T, axis: int, length: int, kernel: Literal["bilinear", "area", "bicubic"]
    ) -> T:
        """`(N, H, W, C)`, uint8 or float32, with `axis` 1 or 2 brought to `length`, float32.

        "bilinear" is antialiased: its triangle is as wide as the scale. "area" is the mean of what
        an output pixel covers. "bicubic" is antialiased too, with a = -0.5, and overshoots.
        """


class Network(Protocol):
    """A network that a stage brings along, as the interpreters take it."""

    @property
    def onnx(self) -> bytes:
        """An ONNX model: uint8 `(1, H, W, C)` to its outputs, of which the first counts."""

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """That output for `(N, H, W, C)`, one picture after the other."""


class Stage(ABC):
    """One preprocessing step, defined once and interpreted by numpy, torch and a graph builder.

    Implementations are frozen dataclasses; their fields are the keys of the recipe's table.

    Attributes:
        name: what recipes call it.
        version: goes up when a released stage has to compute something else.
        host_only: why no graph can hold it; empty for all others.
        training_only: whether it varies pictures for training, and has no place in a bundle.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    host_only: ClassVar[str] = ""
    training_only: ClassVar[bool] = False

    @abstractmethod
    def output(self, image: ImageSpec) -> ImageSpec:
        """The type of the pictures that leave, given the type that arrives.

        Raises:
            RecipeError: this stage cannot work on such pictures. The message is the rule alone,
                ``needs values in 0..255, got 'normalized'; …``; the chain adds the path.
        """

    @abstractmethod
    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """The definition: `x`, of type `image` and shape `(N, H, W, C)`, to what leaves."""

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """Where in a picture of type `image`, of one size, the pixels are from that leave.

        A map of points for each picture that it becomes, nearly always one. Here nothing moves;
        stages that move pixels say how.

        Raises:
            PluginError: the size changes, so that this stage has to say how pixels move.
        """
        leaving = self.output(image)
        arrived, left = ((each.height, each.width, each.batch) for each in (image, leaving))
        if arrived != left:
            raise PluginError(
                f"stage {self.name!r}: must say by backward() how pixels move, got none from "
                f"{list(arrived[:2])!r} to {list(left[:2])!r} pixels"
            )
        return (IDENTITY,)


class FileStage(Stage):
    """A step that needs a file beside the recipe; the file travels in the bundle.

    Attributes:
        file: the field that holds its path, relative to the recipe; in a bundle, a member's name.
    """

    file: ClassVar[str]

    @property
    @abstractmethod
    def content(self) -> bytes:
        """What is in the file, once this step is `opened`."""

    @abstractmethod
    def opened(self, content: bytes, registry: Any) -> Self:
        """This step with what is in its file.

        Args:
            content: the whole file, verified where it comes from a bundle.
            registry: where the plugins are looked up that it needs.

        Raises:
            EdgePrepError: it is no file that this step can use.
        """

    def start(self, *, probe: bool, seconds: float) -> None:
        """Get ready for pictures on this machine, with the wishes of `edgeprep.open`."""

    def close(self) -> None:
        """Let go of what was started. It may be called again, and `start` after it."""


class StreamStage(Stage):
    """A step that looks at the pictures before this one, too.

    Where a picture stands alone, as a photograph does, it is the first of its stream.
    """

    host_only: ClassVar[str] = "it remembers earlier pictures"

    @abstractmethod
    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float | None
    ) -> tuple[T | None, Any]:
        """One picture further.

        Args:
            F: the interpreter.
            x: `(N, H, W, C)`, the pictures of N streams at one moment.
            image: their type.
            memory: what the step before this one returned; None for the first.
            time_s: when the picture was taken, in seconds from any moment on; None where nobody
                knows.

        Returns:
            The pictures that leave, None to drop them; and what the next step has to know.
        """

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`x` as the first pictures of their streams."""
        answer = self.step(F, x, image, None, 0.0)
        return x if answer[0] is None else answer[0]


class RandomStage(Stage):
    """A step that varies pictures for training: a choice among steps that do not.

    It never gets into a bundle or a graph; `edgeprep.train` draws from it for every picture.
    """

    training_only: ClassVar[bool] = True

    @abstractmethod
    def draw(self, generator: np.random.Generator, image: ImageSpec) -> tuple[Stage, ...]:
        """What one picture goes through this time, one after the other; () leaves it as it is.

        All draws leave what `output` says, but for the dtype, to which the caller brings them.

        Args:
            generator: where all chance comes from, so that its seed decides.
            image: the type of the picture, of known size, that `output` accepts.
        """

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """Refused: there is nothing to apply before a draw."""
        raise self._undrawn("apply()")

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """Refused: a draw says how pixels move."""
        raise self._undrawn("backward()")

    def _undrawn(self, got: str) -> RecipeError:
        return RecipeError(
            f"{self.name}: must be drawn anew for every picture, got {got}; it varies pictures "
            "for training, by edgeprep.train, and is never exported"
        )


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


class Source(ABC):
    """What an exporter starts from: the network, its preprocessing and its calibration samples.

    The graph that an exporter writes takes uint8 pictures `(1, H, W, C)` and returns the network's
    outputs as float32; the preprocessing is inside and stays in float at every precision.
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

        The network is its submodule `network`, the preprocessing its submodule `preprocessing`.
        """

    @property
    @abstractmethod
    def preprocessing_onnx(self) -> bytes:
        """The preprocessing alone as an ONNX model: `image`, uint8 NHWC, to `preprocessed`."""

    @property
    @abstractmethod
    def network_onnx(self) -> bytes:
        """The network alone as an ONNX model: `preprocessed`, float32, to its outputs."""

    @property
    @abstractmethod
    def input(self) -> TensorSpec:
        """The graph's input: `image`, uint8, `(1, H, W, C)`."""

    @property
    @abstractmethod
    def network_input(self) -> TensorSpec:
        """The network's input: `preprocessed`, float32."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs, float32, named in order."""

    @property
    @abstractmethod
    def calibration(self) -> NDArray[np.uint8]:
        """Calibration samples as the graph takes them: `(samples, H, W, C)`, uint8."""

    @property
    @abstractmethod
    def calibration_preprocessed(self) -> NDArray[np.float32]:
        """The same samples as the network takes them: `(samples, …)`, float32.

        Where the chain makes several pictures of one, those of a sample are one after the other.
        """

    @property
    @abstractmethod
    def keep_float(self) -> tuple[str, ...]:
        """Module paths that quantization must leave in float, with all that is inside them.

        Spelt as in `network.named_modules()` and `deployed.named_modules()`: both hold the
        user's network as their submodule `network`, so that every path starts with `network.`.
        """

    @property
    @abstractmethod
    def scratch(self) -> "Path":
        """An existing directory for temporary files; it is removed when the conversion ends."""


class Exporter(ABC):
    """Writes one format. Its fields are the extra keys of a recipe's `[[target]]` table."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]]
    requires: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def export(self, source: Source, precision: Precision) -> Model:
        """The model in this format, `source.input` to `source.outputs`.

        Raises:
            ExportError: every road to this format failed; the message names each with its reason.
        """


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

    @abstractmethod
    def load(self, model: Model, device: Device, options: Options) -> Runner:
        """`model` on `device`, from the bytes that `model` holds and nothing else.

        Raises:
            BackendError: the library refuses the model, the device or the options.
        """

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """What results and speed depend on, such as library and driver versions."""


class Task(ABC):
    """What the outputs of a network mean. Its fields are the keys of the recipe's `[task]`."""

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]  # how it can be scored; the first one is the default

    @abstractmethod
    def check_outputs(self, outputs: tuple[TensorSpec, ...]) -> None:
        """Raise RecipeError where a network with such outputs cannot serve this task."""

    @abstractmethod
    def decode(self, outputs: tuple[NDArray[Any], ...]) -> tuple[Any, ...]:
        """The typed results, one a frame; each is a frozen value with `to_json()`."""


class Pass(ABC):
    """One compression step, torch → torch. Its fields are the keys of a `[[compress]]` table."""

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def apply(self, network: "torch.nn.Module", source: Source) -> "torch.nn.Module":
        """The compressed network. It raises, with the reason, where it can do nothing."""
