"""Networks with fewer channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Need, Pass, Reading, Workbench

if TYPE_CHECKING:
    import torch

__all__ = ["Importance", "Prune", "Scope"]

# By what channels are ranked: the sum of the absolute values or of the squares of their weights,
# what the loss is estimated to change without them, or the scale that batch normalization gives
# them.
Importance = Literal["l1", "l2", "taylor", "bn-scale"]
# Among which they are ranked: those of their own layer, or all of the network.
Scope = Literal["uniform", "global"]
Share = Annotated[float, Meta(ge=0, lt=1)]
Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune(Pass):
    """Removes whole channels, so that every layer computes less in every format.

    Exactly one of `ratio`, `speedup` and `max_parameters` says how many. Layers whose channels
    can only go together, such as those that a sum joins, lose the same ones. What the network
    takes and returns keeps its shape. Attention loses whole heads. Layers that the dependency
    graph does not follow, such as those around a channel shuffle, are found beforehand and stay
    as they are.

    Attributes:
        ratio: the share of channels that goes, above 0 and below 1; the same for all layers
            with scope "uniform".
        speedup: how many times as fast the network shall be, measured on this machine, in float,
            in the engine of each format of the recipe; the slowest of them counts.
        max_parameters: the most parameters that it may have.
        importance: by what channels are ranked. "taylor" needs labelled training data.
        scope: "uniform": each layer loses its least important channels; "global": the network
            does, wherever they are.
        round_to: channel counts become multiples of this, which engines are quick with; counts of
            layers that stay as they are do not.
        steps: in how many steps, each followed by a fine-tuning, after which channels are ranked
            anew.
        epochs: of each fine-tuning; 0: none.
        learning_rate: the highest one of each; absent: that of `[train]`.
        keep: patterns of module paths whose layers keep all channels, such as "features.0".
        limits: by such a pattern, the largest share of channels that its layers may lose.
        samples: how many training samples importance "taylor" looks at.

    Source: the dependency graph of Torch-Pruning 1.6 (arXiv:2301.12900); importance "taylor" as in
        Molchanov et al., CVPR 2019, "bn-scale" as in arXiv:1708.06519.
    """

    name: ClassVar[str] = "prune"
    requires: ClassVar[tuple[str, ...]] = ("torch", "torch_pruning")
    install: ClassVar[str] = "edgeprep[convert]"

    ratio: Annotated[float, Meta(gt=0, lt=1)] | None = None
    speedup: Annotated[float, Meta(gt=1)] | None = None
    max_parameters: Annotated[int, Meta(ge=1)] | None = None
    importance: Importance = "l2"
    scope: Scope = "uniform"
    round_to: Annotated[int, Meta(ge=1)] = 8
    steps: Annotated[int, Meta(ge=1)] = 1
    epochs: Annotated[int, Meta(ge=0)] = 0
    learning_rate: Annotated[float, Meta(gt=0)] | None = None
    keep: tuple[Text, ...] = ()
    limits: Mapping[str, Share] = field(default_factory=dict)
    samples: Annotated[int, Meta(ge=1)] = 256

    def __post_init__(self) -> None:
        targets = {
            "ratio": self.ratio,
            "speedup": self.speedup,
            "max_parameters": self.max_parameters,
        }
        given = [name for name, value in targets.items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                "must have exactly one of 'ratio', 'speedup' and 'max_parameters', "
                f"got {' and '.join(map(repr, given)) or 'none'}"
            )
        if self.steps > 1 and not self.epochs:
            raise RecipeError(
                f"steps: must be 1 where there is no fine-tuning in between, got {self.steps!r}; "
                "set epochs"
            )

    def apply(self, network: "torch.nn.Module", bench: Workbench) -> "torch.nn.Module":
        """See `Pass.apply`.

        Raises:
            RecipeError: a pattern matches no module, `ratio` leaves a layer no channel or all of
                them, or `max_parameters` is what the network has already, or cannot be met.
            ConvertError: nothing can be pruned, or too little for what is asked for; the message
                names layers with their reasons.
        """
        from edgeprep.compress._prune import prune

        return prune(self, network, bench)

    def needs(self) -> tuple[Need, ...]:
        """See `Pass.needs`."""
        return ("training",) if self.epochs or self.importance == "taylor" else ()

    def reads(self) -> tuple[Reading, ...]:
        """See `Pass.reads`."""
        return ("speed",) if self.speedup is not None else ()
