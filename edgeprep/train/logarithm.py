"""Logarithms of probabilities that networks learn from."""

import torch

__all__ = ["LEAST", "logarithm", "logit"]

# The least probability of which there is a logarithm to learn from.
LEAST = 1e-7


def logarithm(probabilities: torch.Tensor) -> torch.Tensor:
    """That of `probabilities`; below the least one, its value and its slope."""
    # Not of a clamp alone, which has no slope where a network is wrong and sure of it.
    raised = (probabilities.clamp_min(LEAST) - probabilities).detach()
    return (probabilities + raised).log()


def logit(probabilities: torch.Tensor) -> torch.Tensor:
    """What a sigmoid makes `probabilities` of, with a slope at 0 and at 1, too."""
    return logarithm(probabilities) - logarithm(1.0 - probabilities)
