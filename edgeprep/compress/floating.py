"""The precision that a network computes in."""

import torch

__all__ = ["as_taken_by", "dtype_of", "name_dtype"]


def as_taken_by(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """`inputs` in the precision of the weights of `network`; as they are where they are integers.

    Another network may be in training at a precision of its own.
    """
    return inputs.to(dtype_of(network)) if inputs.is_floating_point() else inputs


def dtype_of(network: torch.nn.Module) -> torch.dtype:
    """That of its weights; float32 where it has none."""
    floating = (one.dtype for one in network.parameters() if one.is_floating_point())
    return next(floating, torch.float32)


def name_dtype(dtype: torch.dtype) -> str:
    """As in "float32"."""
    return str(dtype).removeprefix("torch.")
