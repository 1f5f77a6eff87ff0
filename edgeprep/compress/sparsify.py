"""Networks with zeros among their weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from edgeprep.compress.prune import Scope
from edgeprep.errors import RecipeError
from edgeprep.interfaces import Need, Pass, Reading, Workbench

if TYPE_CHECKING:
    import torch

__all__ = ["Sparsify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsify(Pass):
    """Sets the weights of convolutions and linear layers to 0 that are nearest to it.

    Shapes stay, so that the files stay as large and no engine here becomes quicker by it: those of
    ONNX Runtime, OpenVINO and LiteRT multiply by zeros like by anything else
    (`tools/bench_compress sparsity` measures it). Who gains: who sends bundles compressed, as runs
    of zeros deflate well, and who runs the network on hardware that skips zeros, such as 2:4 on
    tensor cores. To be quicker on a CPU, use pass "prune".

    Either `ratio`, or `n` and `m`, says which weights go.

    Attributes:
        ratio: the share of weights that become 0, above 0 and below 1, wherever they are.
        n: of `m` weights that follow each other along the input channels, `n` stay, such as 2:4.
            Layers whose input channels are no multiple of `m` stay as they are.
        m: see `n`.
        scope: for `ratio`: "uniform": each layer loses that share; "global": the network does,
            wherever weights are least.
        epochs: of the fine-tuning afterwards, in which zeros stay zeros; 0: none.
        learning_rate: the highest one of it; absent: that of `[train]`.
        keep: patterns of module paths whose layers keep all weights, such as "features.0".
    """

    name: ClassVar[str] = "sparsify"
    requires: ClassVar[tuple[str, ...]] = ("torch",)
    install: ClassVar[str] = "edgeprep[convert]"

    ratio: Annotated[float, Meta(gt=0, lt=1)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    m: Annotated[int, Meta(ge=2)] | None = None
    scope: Scope = "uniform"
    epochs: Annotated[int, Meta(ge=0)] = 0
    learning_rate: Annotated[float, Meta(gt=0)] | None = None
    keep: tuple[Annotated[str, Meta(min_length=1)], ...] = ()

    def __post_init__(self) -> None:
        given = [name for name in ("ratio", "n", "m") if getattr(self, name) is not None]
        if given not in (["ratio"], ["n", "m"]):
            raise RecipeError(
                "must have either 'ratio', or 'n' and 'm', "
                f"got {' and '.join(map(repr, given)) or 'none'}"
            )
        if self.n is not None and self.m is not None and self.n >= self.m:
            raise RecipeError(f"n: must be below m, which is {self.m!r}, got {self.n!r}")

    def apply(self, network: "torch.nn.Module", bench: Workbench) -> "torch.nn.Module":
        """See `Pass.apply`.

        Raises:
            RecipeError: a pattern matches no module, or `ratio` leaves a layer no weight.
            ConvertError: no layer can become sparse; the message names the reasons.
        """
        from edgeprep.compress._sparsify import sparsify

        return sparsify(self, network, bench)

    def needs(self) -> tuple[Need, ...]:
        """See `Pass.needs`."""
        return ("training",) if self.epochs else ()

    def reads(self) -> tuple[Reading, ...]:
        """See `Pass.reads`."""
        return ()
