"""Quantization-aware fine-tuning: weights that lose little when they become integers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from edgeprep.interfaces import Need, Pass, Reading, Workbench

if TYPE_CHECKING:
    import torch

__all__ = ["QuantizationAware"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationAware(Pass):
    """`[[compress]] use = "quantization-aware"`: fine-tuning under simulated INT8.

    What comes out is a network in float, with the same shapes, which each exporter quantizes by the
    same policy as any other. What is simulated is that of `[quantize]`: how ranges are chosen, how
    much of int8 weights use, and what stays in float. Every other step or so learns in float, so
    that float variants keep what they are worth.

    Attributes:
        epochs: how often the training data are gone through.
        learning_rate: the highest one.
        learn_from: what is learned: the task's own loss on "labels", or to give what the network
            "itself" gave in float, for which no labels are needed; "auto": from labels where the
            training data have some.
        weight_range: how much of int8 the weights use; "auto": as `[quantize]` says, or, where it
            says "auto" too, all of it and half of it in turns, because formats differ.
        keep_float: patterns of module paths that stay in float beside those of `[quantize]`.
    """

    name: ClassVar[str] = "quantization-aware"
    requires: ClassVar[tuple[str, ...]] = ("torch", "lightning_fabric")
    install: ClassVar[str] = "edgeprep[convert]"

    epochs: Annotated[int, Meta(ge=1)] = 10
    learning_rate: Annotated[float, Meta(gt=0)] = 1e-4
    learn_from: Literal["auto", "labels", "itself"] = "auto"
    weight_range: Literal["auto", "full", "reduced"] = "auto"
    keep_float: tuple[Annotated[str, Meta(min_length=1)], ...] = ()

    def apply(self, network: "torch.nn.Module", bench: Workbench) -> "torch.nn.Module":
        """The fine-tuned network.

        Raises:
            ConvertError: nothing in the network can be quantized, or it cannot be simulated.
            RecipeError: there are no calibration or no training data, or no labels where they are
                to be learned from; or a pattern matches no module.
        """
        from edgeprep.compress._quantization_aware import fine_tune

        return fine_tune(self, network, bench)

    def needs(self) -> tuple[Need, ...]:
        """See `Pass.needs`."""
        return ("calibration", "training")

    def reads(self) -> tuple[Reading, ...]:
        """See `Pass.reads`."""
        return ("quantization",)
