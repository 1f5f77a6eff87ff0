"""The preprocessing in two shares, as a training runs them."""

from dataclasses import dataclass
from typing import Literal, Self

import torch

from edgeprep.interfaces import Placement
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.torch import ChainModule

__all__ = ["Preparation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One cut of one chain.

    Attributes:
        host: what pictures go through one by one.
        graph: what follows, uint8 `(N, H, W, C)` to what the network takes, float32.
    """

    host: Chain
    graph: torch.nn.Module

    @classmethod
    def of(cls, chain: Chain, placement: Placement | Literal["auto"]) -> Self:
        """`chain`, cut as the recipe says; where the device may choose, once the size is fixed.

        Raises:
            RecipeError: there is no such cut.
        """
        host, graph = chain.cut("split" if placement == "auto" else placement)
        return cls(host=host, graph=ChainModule(graph))

    def packed(self) -> tuple[tuple[dict[str, object], ...], tuple[bytes, ...]]:
        """Both shares as a bundle has them, and the content of the files that they name."""
        shares = (self.host, getattr(self.graph, "chain", None))
        packed = [share.packed() for share in shares if isinstance(share, Chain)]
        tables = tuple(table for tables, _ in packed for table in tables)
        return tables, tuple(content for _, files in packed for content in files.values())
