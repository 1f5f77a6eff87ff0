"""Students: the network as it is, narrower, of fewer blocks, or started anew."""

from collections.abc import Callable
from math import ceil

import torch

from edgeprep.compress._share import Words
from edgeprep.compress.distil import Distil
from edgeprep.compress.prune import Prune
from edgeprep.errors import ConvertError, RecipeError
from edgeprep.interfaces import Workbench
from edgeprep.schema import name_first
from edgeprep.train.unroll import unrolled

__all__ = ["derive_student"]

Shapes = dict[torch.nn.Module, tuple[torch.Size, torch.Size]]
Sequence = tuple[torch.nn.Sequential, list[int]]

_NAMED = 5  # so many names are listed in a message


def derive_student(step: Distil, network: torch.nn.Module, bench: Workbench) -> torch.nn.Module:
    """The student that `step` describes.

    Args:
        step: says how much is kept, and how weights start.
        network: it is changed in its place.
        bench: says what it takes.

    Raises:
        RecipeError: nothing of the network can be left out, or its weights cannot start anew.
        ConvertError: no channel of it can go.
    """
    if step.depth < 1:
        whole = unrolled(network, bench.source.states)
        drop_blocks(network, step.depth, lambda: whole(torch.zeros(bench.source.sample_shape)))
    if step.width < 1:
        network = narrow(network, step.width, bench)
    if step.start == "scratch":
        start_anew(network, bench.seed)
    return network


def narrow(network: torch.nn.Module, width: float, bench: Workbench) -> torch.nn.Module:
    """`network` with about `width` of the channels of each layer.

    Raises:
        RecipeError: a layer would keep none.
        ConvertError: no channel can go.
    """
    from edgeprep.compress._prune import prune  # with torch_pruning, which few students need

    # Remedies of `Prune` are about limits and rounding, of which distillation has none.
    words = Words(
        key="distil.width",
        value=width,
        emptied="raise it",
        rounded=f", for {width!r}; lower it",
        fixed=f", for {width!r}; leave it out",
    )
    try:
        return prune(Prune(ratio=1 - width), network, bench, words=words)
    except (ConvertError, RecipeError) as error:
        text = str(error).removeprefix("prune: ").removeprefix("distil.width: ")
        raise type(error)(f"distil.width: {text}") from error


def drop_blocks(network: torch.nn.Module, depth: float, run: Callable[[], object]) -> None:
    """Put the identity in the place of the last of repeated blocks, in every sequence of them.

    A block is a member of a `Sequential` with two layers or more that gives what it takes the
    shape of. Of `n` in a sequence, `ceil(depth · n)` stay. Paths of modules stay what they were.

    Args:
        network: it is changed in its place.
        depth: what is kept.
        run: has it compute an example.

    Raises:
        RecipeError: there is no such block.
    """
    sequences = _sequences(network, _shapes(network, run))
    dropped = 0
    for sequence, repeated in sequences:
        for index in repeated[ceil(depth * len(repeated)) :]:
            sequence[index] = torch.nn.Identity()
            dropped += 1
    if not dropped:
        most = max((len(repeated) for _, repeated in sequences), default=0)
        rule = "must leave out a block of a Sequential whose output has the shape of its input"
        # Rounded down, as at 2 of 3 blocks 0.667 would leave all three.
        remedy = (
            f"set it to at most {(most - 1) * 100 // most / 100:g}"
            if most > 1
            else "set width instead, or have the factory make a network of fewer blocks"
        )
        raise RecipeError(
            f"distil.depth: {rule}, got {depth!r} of at most {most} such blocks; {remedy}"
        )


def start_anew(network: torch.nn.Module, seed: int) -> None:
    """Initialize every module as torch does, the same way for the same `seed`.

    Raises:
        RecipeError: a module holds weights and does not say how they start.
    """
    stubborn = [
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        if not hasattr(module, "reset_parameters")
        for name, _ in module.named_parameters(recurse=False)
    ]
    if stubborn:
        rule = "needs modules that can be initialized anew"
        remedy = "leave model.weights out, and start with those that the factory makes"
        named = name_first(_NAMED, stubborn)
        raise RecipeError(f"distil.start: 'scratch' {rule}, got {named}; {remedy}")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in network.modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()


def _shapes(network: torch.nn.Module, run: Callable[[], object]) -> Shapes:
    """What every module takes and gives, where that is one tensor each."""
    shapes: Shapes = {}

    def note(module: torch.nn.Module, inputs: tuple[object, ...], output: object) -> None:
        tensors = [value for value in (*inputs, output) if isinstance(value, torch.Tensor)]
        if len(inputs) == 1 and len(tensors) == 2:
            shapes[module] = (tensors[0].shape, tensors[1].shape)

    handles = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.no_grad():
            network.eval()
            run()
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _sequences(module: torch.nn.Module, shapes: Shapes) -> list[Sequence]:
    """Every `Sequential` that has blocks, with their places; such a one is no block itself."""
    inside = {child: _sequences(child, shapes) for child in module.children()}
    found = [sequence for sequences in inside.values() for sequence in sequences]
    if isinstance(module, torch.nn.Sequential):
        members = enumerate(module)
        blocks = [i for i, member in members if not inside[member] and _is_block(member, shapes)]
        found += [(module, blocks)] if blocks else []
    return found


def _is_block(module: torch.nn.Module, shapes: Shapes) -> bool:
    # A layer alone, such as one of a convolution and its activation, is no block.
    layers = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    taken, given = shapes.get(module, (None, None))
    return len(layers) > 1 and taken is not None and taken == given
