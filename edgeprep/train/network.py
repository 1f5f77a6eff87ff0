"""A recipe's network: made by its factory, given its weights, and nothing else run."""

from pathlib import Path

import torch

from edgeprep.data.factory import load_factory
from edgeprep.errors import RecipeError
from edgeprep.recipe import ModelTable
from edgeprep.schema.foreign import name_fault
from edgeprep.train.configuration import with_configuration
from edgeprep.train.head import replace_head
from edgeprep.train.outputs import Chosen
from edgeprep.train.weights import check_finite, fits, load_weights, put_weights, read_weights

__all__ = ["load_network", "start_network"]


def load_network(model: ModelTable, directory: Path) -> torch.nn.Module:
    """The network of a recipe's `[model]`, with its weights, in eval mode.

    Args:
        model: the factory, its arguments and the file of weights.
        directory: where relative paths start.

    Raises:
        RecipeError: the factory cannot be found, raises, or returns no module.
        CheckpointError: the weights cannot be read safely, do not fit, or are not finite.
    """
    network = _build(model, directory)
    if model.head is not None:
        replace_head(network, model.head)
    if model.weights is not None:
        load_weights(network, model.weights, directory)
    check_finite(network, "model.factory" if model.weights is None else "model.weights")
    return network.eval().requires_grad_(requires_grad=False)


def start_network(
    model: ModelTable, weights: str | None, directory: Path, *, seed: int
) -> torch.nn.Module:
    """The network of a recipe's `[model]` before it has learned, in eval mode.

    Args:
        model: the factory, its arguments and a head to replace. Its weights are what a training
            makes; they are not looked at.
        weights: the file of those to start from, of a network with the factory's head, or with the
            new one; None: as the factory makes it.
        directory: where relative paths start.
        seed: of what the factory and a new head draw.

    Raises:
        RecipeError: as `load_network`.
        CheckpointError: as `load_network`.
    """
    where = "train.weights"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build(model, directory)
        state = None if weights is None else read_weights(weights, directory, where)
        if model.head is not None:
            if state is not None and fits(network, state):
                network.load_state_dict(state)
                state = None
            replace_head(network, model.head)
    if weights is not None and state is not None:
        put_weights(network, state, weights, where)
    check_finite(network, "model.factory" if weights is None else where)
    return network.eval().requires_grad_(requires_grad=False)


def _build(model: ModelTable, directory: Path) -> torch.nn.Module:
    factory = load_factory(model.factory, directory, "model.factory")
    arguments = with_configuration(factory, model.arguments, directory)
    try:
        network = factory(**arguments)
    # The factory is the user's code, and may raise anything; a script's exit is no success.
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"model.factory: {model.factory!r} must return a torch.nn.Module, "
            f"got {name_fault(error)}"
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise RecipeError(
            f"model.factory: {model.factory!r} must return a torch.nn.Module, "
            f"got {type(network).__name__!r}"
        )
    if model.outputs:
        # A hook, and no module around it: paths of modules and names of weights stay.
        network.register_forward_hook(Chosen(model.outputs))
    return network
