"""Looking at what a network computes, for simulated int8."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from edgeprep.compress.floating import dtype_of, name_dtype
from edgeprep.compress.operators import (
    QUANTIZED,
    WEIGHTED,
    OperatorKind,
    count_macs,
    first_factor,
    is_quantized,
)
from edgeprep.compress.sites import Operand, Ranges, Site
from edgeprep.compress.watch import Place, Watch
from edgeprep.errors import ConvertError, EdgePrepError
from edgeprep.interfaces import Quantization
from edgeprep.ranges import Histogram, choose_range
from edgeprep.schema.foreign import name_fault
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import flatten_outputs
from edgeprep.train.unroll import unrolled

__all__ = ["collect_ranges", "floating_outputs", "run_network"]


_MIN_MAX = Quantization()


def collect_ranges(
    network: torch.nn.Module,
    inputs: Iterable[torch.Tensor],
    policy: Quantization = _MIN_MAX,
    states: Sequence[TensorSpec] = (),
) -> Ranges:
    """The operators of `network`, with the ranges of what they give for `inputs`.

    Args:
        network: in eval mode, float32; or in another precision, in which it is trained.
        inputs: batches, each as `network` takes it; or where it remembers clips, all of whose
            frames count.
        policy: its calibrator chooses the ranges, as in exporters.
        states: what `network` takes after a picture.

    Raises:
        ConvertError: the network does not take them, computes NaN, other operators for other
            inputs, or nothing that can be quantized.
    """
    collector, whole = _Collector(network, policy), unrolled(network, states)
    with collector.on_network():
        for batch in inputs:
            if batch.dtype != (wanted := dtype_of(network)):
                rule = f"simulated int8: inputs must be {name_dtype(wanted)}"
                raise ConvertError(f"{rule}, got {name_dtype(batch.dtype)}")
            run_network(whole, batch)
    return collector.ranges()


def run_network(network: torch.nn.Module, batch: torch.Tensor) -> list[torch.Tensor]:
    """The floating outputs of `network`, without gradients.

    Raises:
        ConvertError: the network raises.
    """
    try:
        with torch.no_grad():
            outputs = network(batch)
    except EdgePrepError:
        raise
    except Exception as error:  # the user's forward may raise anything
        raise ConvertError(
            f"simulated int8: the network must take {name_dtype(batch.dtype)} "
            f"{tuple(batch.shape)}, got {name_fault(error)}"
        ) from error
    return floating_outputs(outputs)


def floating_outputs(outputs: object) -> list[torch.Tensor]:
    """The tensors that a network has returned, without those of integers.

    Raises:
        RecipeError: it has returned something else.
    """
    return [value for value in flatten_outputs(outputs).values() if value.is_floating_point()]


class _Collector(Watch):
    def __init__(self, network: torch.nn.Module, policy: Quantization) -> None:
        super().__init__(network)
        self._policy = policy
        self._histograms: dict[Place, Histogram] = {}
        named = [*network.named_parameters(), *network.named_buffers()]
        self._names = {id(tensor): name for name, tensor in named}
        self._limits: dict[Place, tuple[float, float]] = {}
        self._values: Any = WeakIdKeyDictionary()
        self._sites: dict[Place, Site] = {}
        self._before: dict[Place, Site] | None = None
        self._readers: dict[Place, list[Place]] = {}
        self._outputs: set[Place] = set()
        self._places: set[Place] = set()
        self._norms: dict[Place, tuple[str, str, float]] = {}
        self._batch = 1

    def begin(self, inputs: Sequence[Any]) -> None:
        self._sites, self._readers = {}, {}
        tensors = [value for value in tree_leaves(inputs) if _is_floating(value)]
        self._batch = tensors[0].shape[0] if tensors and tensors[0].dim() else 1
        for index, value in enumerate(tensors):
            self._values[value] = Place("", "input", index)

    def end(self, outputs: Any) -> None:
        for value in floating_outputs(outputs):
            if value in self._values:
                self._outputs.add(self._values[value])
        if self._before is not None and self._before.keys() != self._sites.keys():
            new = [place for place in self._sites if place not in self._before]
            gone = [place for place in self._before if place not in self._sites]
            raise _other_operators((new + gone)[0])
        self._before = self._sites

    def operator(
        self,
        place: Place,
        kind: OperatorKind,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        operands = [
            self._operand(place, kind, index, tensor) for index, tensor in enumerate(tensors)
        ]
        values = [operand.value for operand in operands if operand.value is not None]
        read = {one.value: tensor for one, tensor in zip(operands, tensors, strict=True)}
        reading = kind in QUANTIZED and bool(values)
        if reading:
            # Before the call, which may write into what it reads.
            for value, tensor in read.items():
                if value is not None:
                    self._widen(value, tensor, place)
        outputs = function(*args, **kwargs)
        made = [output for output in tree_leaves(outputs) if _is_floating(output)]
        if kind != "same":
            self._places.add(place)
        # NOTE: what asks for a shape reads no values.
        if not values or not made:
            return outputs
        if kind != "same":
            for value in dict.fromkeys(values):
                self._readers.setdefault(value, []).append(place)
        for output in made:
            self._values[output] = values[0] if kind == "same" else place
            if reading:
                self._widen(place, output, place)
        if reading:
            self._sites[place] = self._site(place, kind, operands, tensors, outputs)
            if kind == "batch-norm":
                self._norms[place] = self._norm(args, kwargs)
        return outputs

    def ranges(self) -> Ranges:
        """What was seen, with the operators that engines fuse joined."""
        fused: set[Place] = set()
        sites = []
        for place, site in (self._before or {}).items():
            if place in fused or not any(self._inexact(one) for one in site.operands):
                continue
            end, fold = place, None
            while (after := self._fused_after(end, place, site.kind)) is not None:
                fused.add(after)
                fold = fold or self._norms.get(after)
                end = after
            stored = None if end in self._outputs else end
            sites.append(replace(site, end=stored, fold=fold))
        if not sites:
            names = sorted({place.operator for place in self._places})
            raise ConvertError(
                "simulated int8: the network must compute something that can be quantized, "
                f"got {names!r}; what torch.jit has compiled cannot be seen"
            )
        return Ranges(
            sites=tuple(sites),
            limits=self._limits | self._chosen(),
            outputs=frozenset(self._outputs),
            places=frozenset(self._places),
        )

    def _inexact(self, operand: Operand | None) -> bool:
        return operand is not None and operand.value is not None

    def _fused_after(self, end: Place, first: Place, kind: OperatorKind) -> Place | None:
        readers = self._readers.get(end, [])
        if len(readers) != 1 or end in self._outputs or self._before is None:
            return None
        after = self._before.get(readers[0])
        if after is None:
            return None
        folds = (
            after.kind == "batch-norm"
            and end == first
            and kind in WEIGHTED
            and self._norms[after.place][0] != ""
        )
        return after.place if folds or after.kind == "clip" else None

    def _operand(
        self, place: Place, kind: OperatorKind, index: int, tensor: torch.Tensor
    ) -> Operand:
        value = self._values.get(tensor)
        name = self._names.get(id(tensor), "")
        weight = None
        if kind in WEIGHTED and index == 1:
            weight = 1 if kind == "transposed convolution" else 0
        elif kind == "matmul" and value is None and tensor.dim() > 1:
            # The axis that is not summed over: of the first factor its rows.
            weight = tensor.dim() - (2 if index == first_factor(place.operator) else 1)
        return Operand(value=value, weight=weight, name=name)

    def _site(
        self,
        place: Place,
        kind: OperatorKind,
        operands: Sequence[Operand],
        tensors: Sequence[torch.Tensor],
        outputs: Any,
    ) -> Site:
        # Biases, statistics and slopes stay what they are: engines have 32 bits for them.
        kept = [
            operand
            if _is_floating(tensor)
            and is_quantized(place.operator, index, constant=operand.value is None)
            else None
            for index, (operand, tensor) in enumerate(zip(operands, tensors, strict=True))
        ]
        weights = [
            tensor
            for operand, tensor in zip(kept, tensors, strict=True)
            if operand is not None and operand.weight is not None
        ]
        output = next(leaf for leaf in tree_leaves(outputs) if _is_floating(leaf))
        return Site(
            place=place,
            kind=kind,
            operands=tuple(kept),
            macs=count_macs(kind, tensors, output) // self._batch,
            parameters=sum(weight.numel() for weight in weights),
        )

    def _norm(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, str, float]:
        # The order of torch.nn.functional.batch_norm.
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "", "eps")
        given = dict(zip(names, args, strict=False)) | dict(kwargs)
        variance = self._names.get(id(given.get("running_var")), "")
        weight = given.get("weight")
        scale = "" if weight is None else self._names.get(id(weight), "")
        if given.get("training") or (weight is not None and not scale):
            variance = ""  # of the moment, or computed: nothing to fold
        return variance, scale, float(given.get("eps", 1e-5))

    def _widen(self, value: Place, tensor: torch.Tensor, place: Place) -> None:
        if not tensor.numel():
            return
        least, greatest = (float(one) for one in torch.aminmax(tensor.detach()))
        if least != least or greatest != greatest:
            raise ConvertError(
                f"simulated int8: every value must be a number, got NaN at {place}; "
                "see that the samples and weights are right"
            )
        low, high = self._limits.get(value, (least, greatest))
        self._limits[value] = min(low, least), max(high, greatest)
        if self._policy.calibrator != "min-max":
            # All readers count it, and each of its values as often.
            counted = self._histograms.setdefault(value, Histogram())
            counted.add(tensor.detach().cpu().float().numpy())

    def _chosen(self) -> dict[Place, tuple[float, float]]:
        """The ranges that the calibrator chooses where there are no infinite values."""
        return {
            place: choose_range(counted, self._policy)
            for place, counted in self._histograms.items()
            if counted.is_finite
        }


def _is_floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _other_operators(place: Place) -> ConvertError:
    return ConvertError(
        "simulated int8: the network must compute the same operators for every input, "
        f"got {place} for some alone; engines run one fixed graph"
    )
