"""How far answers are from those of a teacher, for tasks to choose from."""

import torch
from torch.nn import functional

__all__ = ["class_divergence", "separate_divergence"]


def class_divergence(
    logits: torch.Tensor, wanted: torch.Tensor, temperature: float
) -> torch.Tensor:
    """The Kullback-Leibler divergence of one distribution over classes from another, in nats.

    Both are softened by `temperature`, and the divergence is multiplied by its square, so that
    gradients are about as large as without it.

    Args:
        logits: of the student, `(N, classes, …)`, float32.
        wanted: of the teacher, likewise.
        temperature: from 1.

    Returns:
        A scalar: the sum over the classes, the mean over all else.

    Source: Hinton et al., arXiv:1503.02531, section 2.
    """
    ours = (logits / temperature).log_softmax(1)
    theirs = (wanted / temperature).log_softmax(1)
    each = functional.kl_div(ours, theirs, reduction="none", log_target=True)
    return each.sum(1).mean() * temperature**2


def separate_divergence(
    logits: torch.Tensor, wanted: torch.Tensor, temperature: float
) -> torch.Tensor:
    """The same for classes of which each is there or not: the mean over classes and pictures.

    Args:
        logits: of the student, `(N, classes, …)`, float32; a sigmoid makes them probabilities.
        wanted: of the teacher, likewise.
        temperature: from 1.
    """
    # The logits 0 and x of two classes have the softmax that x has as a sigmoid.
    student, teacher = (torch.stack((torch.zeros_like(x), x), 1) for x in (logits, wanted))
    return class_divergence(student, teacher, temperature)
