"""The primitives over torch tensors, and a chain as a module: for training and for export."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.jit._trace import TracerWarning

from edgeprep.errors import DTypeError, ShapeError
from edgeprep.interfaces import Network
from edgeprep.stages.chain import Chain
from edgeprep.stages.formulas.growth import grow
from edgeprep.stages.formulas.histogram import histogram, ranked
from edgeprep.stages.formulas.resample import Kernel, bands, resample
from edgeprep.stages.formulas.scaling import scale_channels
from edgeprep.tensors import DType

__all__ = ["ChainModule", "TorchPrimitives"]

DTYPES: dict[DType, torch.dtype] = {"uint8": torch.uint8, "float32": torch.float32}

Constant = NDArray[Any] | float


def as_module(network: Network) -> torch.nn.Module:
    """A network of a stage as a module, frozen."""
    from edgeprep.stages.primitives.onnx_module import OnnxModule  # few chains need it

    return OnnxModule(network.onnx).eval().requires_grad_(False)


class TorchPrimitives:
    """`F` over tensors; see `edgeprep.interfaces.Primitives` for what each operation means.

    `constant` turns the arrays that stages bring into tensors. It lets a module keep them as
    buffers, so that an exporter sees constants and a move to another device takes them along.
    `module` does the same for the networks that stages bring.
    """

    # LiteRT has no minimum of uint8.
    level_type: DType = "float32"

    def __init__(
        self,
        constant: Callable[[NDArray[Any]], torch.Tensor] = torch.from_numpy,
        module: Callable[[Network], torch.nn.Module] = as_module,
    ) -> None:
        self._constant = constant
        self._module = module

    def shape(self, x: torch.Tensor) -> tuple[int, ...]:
        """The length of every axis."""
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return tuple(x.shape)
        # OpenVINO traces, where lengths are tensors. An exported graph has one size, so that
        # nothing is lost by taking them as numbers, which is what the warning is about.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TracerWarning)
            return tuple(int(length) for length in x.shape)

    def cast(self, x: torch.Tensor, dtype: DType) -> torch.Tensor:
        """Another element type."""
        return x.to(DTYPES[dtype])

    def reshape(self, x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Another shape."""
        return x.reshape(tuple(shape))

    def transpose(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """Another order of axes."""
        return x.permute(tuple(axes))

    def slice(self, x: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
        """A part of one axis."""
        return x.narrow(axis, start, stop - start)

    def reverse(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """One axis back to front."""
        return x.flip(axis)

    def concat(self, parts: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
        """Tensors one after the other."""
        return torch.cat(list(parts), axis)

    def gather(self, x: torch.Tensor, axis: int, indices: NDArray[np.int64]) -> torch.Tensor:
        """Chosen elements of one axis."""
        # Not x[:, indices]: exporters turn that into GatherND between transposes.
        return x.index_select(axis, self._constant(indices))

    def pad(self, x: torch.Tensor, axis: int, before: int, after: int, value: int) -> torch.Tensor:
        """A border of one value."""
        borders = [0] * (2 * x.ndim)
        borders[2 * (x.ndim - 1 - axis) : 2 * (x.ndim - axis)] = [before, after]
        return torch.nn.functional.pad(x, borders, value=value)

    def matmul(
        self, a: torch.Tensor | NDArray[np.float32], b: torch.Tensor | NDArray[np.float32]
    ) -> torch.Tensor:
        """The matrix product."""
        first = self._constant(a) if isinstance(a, np.ndarray) else a
        second = self._constant(b) if isinstance(b, np.ndarray) else b
        return first @ second

    def add(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """The sum."""
        return a + self._operand(b)

    def subtract(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """The difference."""
        return a - self._operand(b)

    def multiply(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """The product."""
        return a * self._operand(b)

    def scale_channels(
        self, x: torch.Tensor, factor: NDArray[np.float32], offset: NDArray[np.float32]
    ) -> torch.Tensor:
        """A product and a sum, row by row."""
        return scale_channels(self, x, factor, offset)

    def divide(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The quotient."""
        return a / b

    def minimum(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """The lesser of each pair."""
        other = self._operand(b)
        return a.clamp(max=other) if isinstance(other, float) else torch.minimum(a, other)

    def maximum(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """The greater of each pair."""
        other = self._operand(b)
        return a.clamp(min=other) if isinstance(other, float) else torch.maximum(a, other)

    def greater(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """1 where the first is greater."""
        return (a > self._operand(b)).to(torch.float32)

    def equal(self, a: torch.Tensor, b: torch.Tensor | Constant) -> torch.Tensor:
        """1 where both are equal."""
        return (a == self._operand(b)).to(torch.float32)

    def select(self, mask: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """One or the other."""
        return torch.where(mask > 0.5, a, b)

    def absolute(self, x: torch.Tensor) -> torch.Tensor:
        """Without signs."""
        return x.abs()

    def sqrt(self, x: torch.Tensor) -> torch.Tensor:
        """Square roots."""
        return x.sqrt()

    def exp(self, x: torch.Tensor) -> torch.Tensor:
        """Powers of e."""
        return x.exp()

    def power(self, x: torch.Tensor, exponent: float) -> torch.Tensor:
        """Powers of the elements."""
        return x.pow(exponent)

    def reduce_sum(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """Sums."""
        return x.sum(dim=tuple(axes), keepdim=True)

    def reduce_min(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """Minima."""
        return x.amin(dim=tuple(axes), keepdim=True)

    def reduce_max(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """Maxima."""
        return x.amax(dim=tuple(axes), keepdim=True)

    def lookup(self, tables: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Elements of one table for each picture."""
        batch, length = self.shape(tables)
        positions = indices.to(torch.int32)
        if batch > 1:
            starts = torch.arange(batch, dtype=torch.int32, device=positions.device) * length
            positions = positions + starts.reshape(batch, *[1] * (positions.ndim - 1))
        # Not index_select, for which LiteRT checks every index and takes four times as long.
        column = tables.reshape(batch * length, 1)
        found = torch.nn.functional.embedding(positions, column)
        return found.reshape(self.shape(indices))

    def histogram(self, x: torch.Tensor) -> torch.Tensor:
        """How often each level occurs, by matrix products."""
        return histogram(self, x)

    def ranked(self, x: torch.Tensor, rank: int) -> torch.Tensor:
        """One level in order, by halving."""
        return ranked(self, x, rank)

    def _operand(self, value: torch.Tensor | Constant) -> torch.Tensor | float:
        return self._constant(value) if isinstance(value, np.ndarray) else value

    def clip(self, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        """Values held between two bounds."""
        return x.clamp(low, high)

    def floor(self, x: torch.Tensor) -> torch.Tensor:
        """The whole numbers below."""
        return x.floor()

    def round(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest whole numbers."""
        return x.round()

    def grow(self, seeds: torch.Tensor, within: torch.Tensor, steps: int) -> torch.Tensor:
        """As many dilations as steps."""
        return grow(self, seeds, within, steps)

    def by_strips(
        self, x: torch.Tensor, overlap: int, of: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """All rows at once."""
        return of(x)

    def network(self, x: torch.Tensor, network: Network) -> torch.Tensor:
        """Its graph, computed by torch."""
        module = self._module(network)
        # It is of one size, which is a batch of one.
        outputs = [module(x.narrow(0, index, 1))[0] for index in range(self.shape(x)[0])]
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]

    def resize_linear(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Half-pixel bilinear."""
        channels_first = x.to(torch.float32).permute(0, 3, 1, 2)
        resized = torch.nn.functional.interpolate(
            channels_first, (height, width), mode="bilinear", align_corners=False, antialias=False
        )
        return resized.permute(0, 2, 3, 1)

    def resample(self, x: torch.Tensor, axis: int, length: int, kernel: Kernel) -> torch.Tensor:
        """Antialiased bilinear or area along one axis, as a banded matrix product."""
        return resample(self, x, axis, bands(self.shape(x)[axis], length, kernel))


class ChainModule(torch.nn.Module):
    """A chain as a module: uint8 `(N, H, W, C)` of the chain's input size to what leaves it.

    It has buffers, which are constants of the chain and no part of its state, and no parameters.

    Raises:
        RecipeError: pictures of any size may come; an exported graph has one size.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        arrays: list[NDArray[Any]] = []
        self.networks = torch.nn.ModuleList()

        def record(array: NDArray[Any]) -> torch.Tensor:
            arrays.append(array)
            return torch.from_numpy(array)

        def bring(network: Network) -> torch.nn.Module:
            self.networks.append(as_module(network))
            return self.networks[-1]

        chain.need_fixed_size()
        F = TorchPrimitives(record, bring)
        with torch.no_grad():
            chain.apply(F, torch.zeros(chain.input.shape(), dtype=torch.uint8))
        for index, array in enumerate(arrays):
            self.register_buffer(f"constant_{index}", torch.from_numpy(array), persistent=False)
        self._constants = len(arrays)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The preprocessed pictures; stages bring their constants in the recorded order.

        Raises:
            DTypeError: `x` is not uint8.
            ShapeError: it has another shape.
        """
        if not torch.compiler.is_compiling() and not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            self._check(x)
        tensors = iter([getattr(self, f"constant_{index}") for index in range(self._constants)])
        networks = iter(self.networks)
        F = TorchPrimitives(lambda array: next(tensors), lambda network: next(networks))
        return self.chain.apply(F, x)

    def _check(self, x: torch.Tensor) -> None:
        wanted = self.chain.input.shape()[1:]
        if x.dtype != torch.uint8:
            raise DTypeError(f"pictures: must be uint8, got {x.dtype!r}")
        if x.ndim != 4 or tuple(x.shape[1:]) != wanted:
            shape = f"(N, {', '.join(map(str, wanted))})"
            raise ShapeError(f"pictures: must have shape {shape}, got {tuple(x.shape)!r}")
