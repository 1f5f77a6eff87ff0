"""A network as a state dict and a plain description of its shapes: no code, no pickle.

What a pass gives back has other shapes than what the recipe's factory makes. It is kept as one
safetensors file: the state dict, and in the file's metadata, as JSON, what else differs. Both
together rebuild it from a fresh network of the factory.
"""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from os import PathLike
from pathlib import Path

import msgspec
import safetensors
import safetensors.torch
import torch
from msgspec import Struct

from edgeprep.errors import CheckpointError
from edgeprep.files import atomic_write
from edgeprep.schema import name_first
from edgeprep.schema.foreign import name_fault
from edgeprep.train.modules import inside

__all__ = [
    "ModuleShape",
    "Shapes",
    "describe",
    "load_compressed",
    "rebuild",
    "save_compressed",
]

Number = int | float
Numbers = Number | tuple[Number, ...]

_FORMAT = 1
_KEY = "edgeprep.shapes"
_NAMED = 5  # so many names are listed in a message; the rest are counted
_LARGEST = 2**53  # beyond it, JSON readers disagree about integers

# What torch's own modules know of the shapes of their weights. The rest of what they hold, such as
# a stride, is the factory's.
_SHAPES = frozenset(
    {
        *("in_channels", "out_channels", "groups"),
        *("in_features", "out_features", "in1_features", "in2_features"),
        *("num_features", "num_channels", "num_groups", "normalized_shape", "num_parameters"),
        *("num_embeddings", "embedding_dim", "input_size", "hidden_size", "proj_size"),
        *("embed_dim", "kdim", "vdim", "num_heads", "head_dim", "d_model", "nhead"),
        *("unflattened_size",),
    }
)


class ModuleShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One module.

    Attributes:
        kind: the name of its class.
        numbers: its attributes that are a number or a sequence of them. Of torch's own modules only
            those that say a shape, of others all whose names do not start with an underscore.
    """

    kind: str
    numbers: dict[str, Numbers] = {}


class Shapes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What, beside its state dict, a network differs in from others of the same factory.

    Attributes:
        format: of this description: 1.
        modules: by their paths; "" is the network itself.
        tensors: the shape of each entry of the state dict.
        tied: names of parameters that are one and the same.
    """

    format: int = _FORMAT
    modules: dict[str, ModuleShape]
    tensors: dict[str, tuple[int, ...]]
    tied: tuple[tuple[str, ...], ...] = ()


def describe(network: torch.nn.Module) -> Shapes:
    """The shapes of `network`, as plain values; `msgspec.to_builtins` makes them a dict for JSON.

    Raises:
        CheckpointError: its state dict holds something else than tensors.
    """
    names = defaultdict(list)
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    return Shapes(
        modules={
            path: ModuleShape(kind=type(module).__name__, numbers=dict(_numbers(module)))
            for path, module in network.named_modules()
        },
        tensors={name: tuple(value.shape) for name, value in _state(network).items()},
        tied=tuple(tuple(same) for same in names.values() if len(same) > 1),
    )


def rebuild(
    network: torch.nn.Module, shapes: Shapes, state: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """`network`, with the shapes and the state of another one of the same factory.

    Where the other one has an identity in the place of a module, it has so too.

    Args:
        network: it is changed in its place; its own shapes and values do not matter.
        shapes: of the other one.
        state: its state dict; the tensors become those of `network`.

    Raises:
        CheckpointError: the two differ in more than shapes; the message names the path. `network`
            is then as it was.
    """
    dropped = _dropped(network, shapes)
    modules = {
        path: module for path, module in network.named_modules() if not inside(path, dropped)
    }
    _check_names("modules", [*modules, *dropped], shapes.modules)
    for path, module in modules.items():
        _check_module(path, module, shapes.modules[path])
    before = {name: value for name, value in _state(network).items() if not inside(name, dropped)}
    _check_names("state", before, state)
    _check_names("state", shapes.tensors, state)
    for name, value in state.items():
        if tuple(value.shape) != shapes.tensors[name]:
            rule = f"must have shape {shapes.tensors[name]}"
            raise CheckpointError(f"state.{name}: {rule}, got {tuple(value.shape)}")
        if value.dtype != before[name].dtype:
            raise CheckpointError(f"state.{name}: must be {before[name].dtype}, got {value.dtype}")
    for path in dropped:
        network.set_submodule(path, torch.nn.Identity())
    for path, module in modules.items():
        for name, numbers in shapes.modules[path].numbers.items():
            as_it_was = list if isinstance(vars(module).get(name), list) else tuple
            setattr(module, name, as_it_was(numbers) if isinstance(numbers, tuple) else numbers)
    _replace_tensors(network, state, shapes.tied)
    return network


def save_compressed(network: torch.nn.Module, path: str | PathLike[str]) -> None:
    """Write `network` as one safetensors file, which replaces what is at `path`.

    Raises:
        CheckpointError: its state dict holds something else than tensors.
        StorageError: the file cannot be written.
    """
    # Cloned, as safetensors takes no two tensors that share memory.
    state = {name: value.detach().cpu().clone() for name, value in _state(network).items()}
    state = {name: value.contiguous() for name, value in state.items()}
    metadata = {_KEY: msgspec.json.encode(describe(network)).decode()}
    atomic_write(path, [safetensors.torch.save(state, metadata)], overwrite=True)


def load_compressed(network: torch.nn.Module, path: str | PathLike[str]) -> torch.nn.Module:
    """`network`, as the one that `save_compressed` wrote to `path`.

    Args:
        network: fresh from the factory of the saved one; it is changed in its place.
        path: what `save_compressed` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit; `network` is then as it was.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path.name}: must be a file, got {str(path)!r}")
    try:
        # The whole file at once: what maps a file dies with it when another one takes its place.
        content = path.read_bytes()
        state = safetensors.torch.load(content)
        shapes = msgspec.json.decode(_metadata(content)[_KEY], type=Shapes)
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        rule = "must be a network that edgeprep saved"
        raise CheckpointError(f"{path.name}: {rule}, got {name_fault(error)}") from error
    if shapes.format != _FORMAT:
        rule = f"must have format {_FORMAT}, the one that this version reads"
        raise CheckpointError(f"{path.name}: {rule}, got {shapes.format!r}")
    try:
        return rebuild(network, shapes, state)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def _metadata(content: bytes) -> dict[str, str]:
    # The library gives it of files that it maps only.
    start = 8
    length = int.from_bytes(content[:start], "little")
    header = json.loads(content[start : start + length])
    return dict(header.get("__metadata__", {}))


def _state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"state.{name}: must be a tensor, got {type(value).__name__!r}")
    return state


def _dropped(network: torch.nn.Module, shapes: Shapes) -> list[str]:
    """The paths of modules that are an identity in the other network alone."""
    return [
        path
        for path, module in network.named_modules()
        if path in shapes.modules
        and shapes.modules[path].kind == torch.nn.Identity.__name__
        and not isinstance(module, torch.nn.Identity)
        and path
    ]


def _numbers(module: torch.nn.Module) -> Iterator[tuple[str, Numbers]]:
    is_torchs = type(module).__module__.startswith("torch.")
    for name, value in vars(module).items():
        if name.startswith("_") or (is_torchs and name not in _SHAPES):
            continue
        if _is_number(value):
            yield name, value
        elif isinstance(value, list | tuple) and value and all(map(_is_number, value)):
            yield name, tuple(value)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and abs(value) < _LARGEST


def _check_names(what: str, wanted: Collection[str], given: Collection[str]) -> None:
    problems = [
        f"{rule}: {name_first(_NAMED, names, quoted=False)}"
        for rule, names in (
            ("missing", [name for name in wanted if name not in given]),
            ("unexpected", [name for name in given if name not in wanted]),
        )
        if names
    ]
    if problems:
        raise CheckpointError(f"{what}: must be those of the network, got {'; '.join(problems)}")


def _check_module(path: str, module: torch.nn.Module, shape: ModuleShape) -> None:
    where = f"modules.{path}" if path else "modules"
    if type(module).__name__ != shape.kind:
        raise CheckpointError(f"{where}: must be a {type(module).__name__}, got {shape.kind!r}")
    if missing := [name for name, _ in _numbers(module) if name not in shape.numbers]:
        raise CheckpointError(f"{where}.{missing[0]}: must be described, got nothing")
    for name, value in shape.numbers.items():
        # What a forward pass leaves behind, such as the last size, a fresh network has not yet.
        before = vars(module).get(name)
        if before is None and not hasattr(type(module), name) and not name.startswith("_"):
            continue
        if name not in dict(_numbers(module)) or isinstance(before, list | tuple) != isinstance(
            value, tuple
        ):
            raise CheckpointError(f"{where}.{name}: must stay {before!r}, got {value!r}")


def _replace_tensors(
    network: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    tied: tuple[tuple[str, ...], ...],
) -> None:
    first = {name: names[0] for names in tied for name in names}
    made: dict[str, torch.nn.Parameter] = {}
    for path, module in network.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for name, parameter in module._parameters.items():
            key = prefix + name
            if parameter is not None:
                same = first.get(key, key)
                made.setdefault(
                    same, torch.nn.Parameter(state[key], requires_grad=parameter.requires_grad)
                )
                module._parameters[name] = made[same]
        for name in module._buffers:
            if (key := prefix + name) in state:
                module._buffers[name] = state[key]
