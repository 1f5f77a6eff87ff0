"""Pictures that an objective sees in other ways than the network does, in one row with its input.

A training hands pictures on as rows of uint8, from processes that read, vary and keep them. What an
objective makes of the same picture travels in the same row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Primitives, Stage
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec
from edgeprep.train.preparation import Preparation

__all__ = ["View", "show"]

T = TypeVar("T")
View = Callable[[NDArray[np.uint8]], NDArray[Any]]


def show(
    preparation: Preparation, views: Sequence[View], picture: NDArray[np.uint8]
) -> Preparation:
    """`preparation` with `views` of every picture beside what the network takes.

    Its graph gives a tuple: what the network takes, and each view, `(N, …)`.

    Args:
        preparation: of a network.
        views: see `Objective.views`.
        picture: one that it takes, by which the shapes are known.

    Raises:
        RecipeError: the preprocessing looks at earlier pictures.
    """
    if preparation.host.remembers:
        rule = "must look at one picture at a time where the training looks at it in other ways"
        raise RecipeError(f"preprocess: {rule}, got one with a memory")
    parts = _parts(preparation.host, views, picture)
    length = sum(part.nbytes for part in parts)
    packed = _Packed(host=preparation.host, views=tuple(views), length=length)
    host = Chain(input=preparation.host.input, stages=(packed,))
    return Preparation(host=host, graph=_Unpack(preparation.graph, parts))


@dataclass(frozen=True, kw_only=True)
class _Packed(Stage):
    """The host's share of a preprocessing and some views, as the bytes of one row."""

    name: ClassVar[str] = "packed"

    host: Chain
    views: tuple[View, ...]
    length: int

    def output(self, image: ImageSpec) -> ImageSpec:
        """See `Stage.output`."""
        return ImageSpec(height=1, width=self.length, color="grey", batch=image.batch)

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """See `Stage.apply`; numpy's arrays alone."""
        parts = _parts(self.host, self.views, cast(Any, x)[0])
        row = np.concatenate(
            [np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in parts]
        )
        return cast(T, row[None, None, :, None])


def _parts(host: Chain, views: Sequence[View], picture: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """What is in the row of one picture."""
    return [host.prepare(picture)[0], *(view(picture) for view in views)]


class _Unpack(torch.nn.Module):
    """Rows to what the network takes, and the views."""

    def __init__(self, graph: torch.nn.Module, parts: Sequence[NDArray[Any]]) -> None:
        super().__init__()
        self.graph = graph
        self._sizes = [part.nbytes for part in parts]
        self._shapes = [part.shape for part in parts]
        self._dtypes = [torch.from_numpy(np.empty(0, part.dtype)).dtype for part in parts]

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`(N, 1, bytes, 1)`, uint8, to several tensors."""
        each = torch.split(rows.reshape(len(rows), -1), self._sizes, dim=1)
        pictures, *views = (
            part.clone(memory_format=torch.contiguous_format).view(dtype).reshape(len(rows), *shape)
            for part, dtype, shape in zip(each, self._dtypes, self._shapes, strict=True)
        )
        return self.graph(pictures), *views
