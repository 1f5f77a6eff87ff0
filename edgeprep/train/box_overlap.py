"""How far boxes overlap, in torch, with a gradient.

Boxes are least x, least y, greatest x, greatest y, in the last axis. One that is turned inside out
has no area.
"""

import torch
from torch import maximum, minimum

__all__ = ["generalized_overlaps", "pairwise_overlaps"]

# An area below which there is nothing to divide by.
_LEAST = 1e-9


def pairwise_overlaps(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each with each: `(…, N, M)`, in 0..1.

    Args:
        boxes: `(…, N, 4)`.
        others: `(…, M, 4)`.
    """
    both, union, _ = _parts(boxes.unsqueeze(-2), others.unsqueeze(-3))
    return both / union


def generalized_overlaps(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Generalized intersection over union of boxes with others, which are broadcast: in -1..1.

    Args:
        boxes: `(…, 4)`.
        others: `(…, 4)`.

    Source: Rezatofighi et al., arXiv:1902.09630, algorithm 1.
    """
    both, union, hull = _parts(boxes, others)
    return both / union - (hull - union) / hull


def _parts(
    boxes: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The areas of what both share, of what either has, and of the least box around both."""
    x0, y0, x1, y1 = boxes.unbind(-1)
    u0, v0, u1, v1 = others.unbind(-1)
    both = _area(maximum(x0, u0), maximum(y0, v0), minimum(x1, u1), minimum(y1, v1))
    union = _area(x0, y0, x1, y1) + _area(u0, v0, u1, v1) - both
    wide = maximum(maximum(x0, x1), u1) - minimum(minimum(x0, x1), u0)
    high = maximum(maximum(y0, y1), v1) - minimum(minimum(y0, y1), v0)
    return both, union.clamp_min(_LEAST), (wide * high).clamp_min(_LEAST)


def _area(x0: torch.Tensor, y0: torch.Tensor, x1: torch.Tensor, y1: torch.Tensor) -> torch.Tensor:
    return (x1 - x0).clamp_min(0.0) * (y1 - y0).clamp_min(0.0)
