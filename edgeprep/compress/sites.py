"""What a network computes in integers, and between which values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgeprep.compress.operators import OperatorKind
from edgeprep.compress.watch import Place

__all__ = ["Operand", "Ranges", "Site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One tensor that an operator reads.

    Attributes:
        value: the place that computed it; None where it does not depend on the network's input.
        weight: the axis of output channels of a weight; None where it is none.
        name: of the parameter or buffer that it is, or "".
    """

    value: Place | None = None
    weight: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One operator that engines compute in integers.

    Attributes:
        place: where it is.
        kind: what it is.
        operands: one for each tensor among its arguments, in order; None: it stays as it is.
        macs: multiplications of one sample.
        parameters: values of its weight.
        fold: where a batch norm becomes a part of it: the names of that one's running variance and
            weight, and its epsilon.
        end: the operator that gives what is stored in int8, after what engines fuse with this one;
            None where that is an output of the network, which stays in float.
    """

    place: Place
    kind: OperatorKind
    operands: tuple[Operand | None, ...]
    macs: int = 0
    parameters: int = 0
    fold: tuple[str, str, float] | None = None
    end: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The operators of a network, and the ranges of what they compute.

    Attributes:
        sites: what is quantized, in the order in which it runs.
        limits: of what each place gave, the ends of its range; infinite where it stays in float.
        outputs: what the network gave.
        places: all that was computed.
    """

    sites: tuple[Site, ...]
    limits: Mapping[Place, tuple[float, float]]
    outputs: frozenset[Place]
    places: frozenset[Place] = field(repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the modules that compute something in integers, in order."""
        return tuple(dict.fromkeys(site.place.path for site in self.sites))

    def layers_without(self, keep_float: Iterable[str]) -> tuple[str, ...]:
        """`layers` without those of `keep_float` and all that is inside them."""
        kept = tuple(f"{path}." for path in keep_float)
        return tuple(path for path in self.layers if not f"{path}.".startswith(kept))

    def with_limits(self, limits: Sequence[Sequence[float]]) -> "Ranges":
        """The same operators between other values, in the order of `limits`."""
        pairs = [(float(low), float(high)) for low, high in limits]
        return replace(self, limits=dict(zip(self.limits, pairs, strict=True)))
