"""Attention: which layers make queries, keys and values, and what an attention loses with a head.

Heads are blocks of channels that one softmax belongs to, so that they go whole or not at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

__all__ = ["Attention", "find_attentions", "shrink_attention"]

# As the networks of transformers, timm and others call them.
_COUNTS = ("num_attention_heads", "num_heads", "n_heads", "heads")
_KEY_COUNTS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads")
_WIDTHS = ("all_head_size", "attn_dim", "inner_dim")
_APART = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q", "k", "v"),
    ("to_q", "to_k", "to_v"),
    ("wq", "wk", "wv"),
)
_FUSED = ("qkv", "qkv_proj", "to_qkv", "in_proj")


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention.

    Attributes:
        path: of its module.
        heads: how many there are.
        layers: paths of the linear layers that make queries, keys and values.
        parts: in how many of these a layer's output is cut: 1, or 3 where one layer makes all.
    """

    path: str
    heads: int
    layers: tuple[str, ...]
    parts: int


def find_attentions(network: torch.nn.Module) -> Mapping[str, Attention]:
    """The attentions of `network`, by the paths of the layers that make queries, keys, values."""
    return {layer: found for found in _attentions(network) for layer in found.layers}


def _attentions(network: torch.nn.Module) -> Iterator[Attention]:
    for path, module in network.named_modules():
        heads = next((n for name in _COUNTS if (n := _whole(module, name))), None)
        children = {
            name for name, child in module.named_children() if isinstance(child, torch.nn.Linear)
        }
        apart = next((names for names in _APART if children.issuperset(names)), ())
        fused = tuple(name for name in _FUSED if name in children)[:1]
        if heads is not None and (apart or fused):
            prefix = f"{path}." if path else ""
            yield Attention(
                path=path,
                heads=heads,
                layers=tuple(prefix + name for name in apart or fused),
                parts=1 if apart else 3,
            )


def shrink_attention(module: torch.nn.Module, heads: int, width: int) -> None:
    """Tell an attention that it has `heads` heads, of `width` channels each."""
    before = next(n for name in _COUNTS if (n := _whole(module, name)))
    for name in (*_COUNTS, *_KEY_COUNTS):
        if _whole(module, name) == before:
            setattr(module, name, heads)
    for name in _WIDTHS:
        if _whole(module, name) == before * width:
            setattr(module, name, heads * width)


def _whole(module: torch.nn.Module, name: str) -> int | None:
    value = vars(module).get(name)
    return value if type(value) is int else None
