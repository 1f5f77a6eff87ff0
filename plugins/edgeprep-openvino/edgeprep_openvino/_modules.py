"""Which operations of a converted network came from which torch module."""

import ast
import re
from collections.abc import Mapping

import onnx
import openvino as ov  # type: ignore[import-untyped]
import torch

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source

__all__ = ["operations_of", "owners_of"]

# openvino's frontend for torch names its nodes `__module.features.0/aten::_convolution/…`.
_TRACED = re.compile(r"__module\.([^/]+)/")
_ENDS = {"Constant", "Parameter", "Result"}
_WEIGHTED = {
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
    "MatMul",
}


def operations_of(
    modules: tuple[str, ...], network: ov.Model, source: Source, road: str
) -> tuple[str, ...]:
    """The names of the operations of `network` that compute `modules`, or modules inside them.

    Modules without weights to quantize, and those that `source.network` does not use, have none.

    Args:
        modules: paths in `source.network`.
        network: `source.network`, converted.
        source: where `network` comes from.
        road: "torch" or "onnx".

    Raises:
        ExportError: a module is computed, but nothing tells by which operations.
    """
    if not modules:
        return ()
    producers = _producers(source)
    owners = _owners(network, source, road, producers)
    kept: dict[str, None] = {}
    for module in modules:
        found = [name for name, owner in owners.items() if f"{owner}.".startswith(f"{module}.")]
        if not found and _has_matrix(source.network.get_submodule(module)):
            if module in producers:
                raise ExportError(
                    "exporter 'openvino': keep_float must name modules found in the converted "
                    f"network, got {module!r}"
                )
            # Attention computes its projection itself, with weights from a module never called.
            parent = module.rpartition(".")[0]
            found = [
                node.friendly_name
                for node in network.get_ordered_ops()
                if node.get_type_name() in _WEIGHTED and owners[node.friendly_name] == parent
            ]
        kept |= dict.fromkeys(found)
    return tuple(kept)


def owners_of(network: ov.Model, source: Source, road: str) -> dict[str, str]:
    """The path of the module that each operation of `network` computes; "" where nothing tells."""
    return _owners(network, source, road, _producers(source))


def _owners(
    network: ov.Model, source: Source, road: str, producers: Mapping[str, str]
) -> dict[str, str]:
    scopes = _onnx_scopes(source.network_onnx) if road == "onnx" else {}
    return {
        node.friendly_name: _owner(node, scopes, producers, source.network)
        for node in network.get_ordered_ops()
        if node.get_type_name() not in _ENDS
    }


def _owner(
    node: ov.Node,
    scopes: Mapping[str, str],
    producers: Mapping[str, str],
    network: torch.nn.Module,
) -> str:
    """The path of the module that `node` computes; "" where nothing tells.

    NOTE: a convolution with a folded batch norm has lost its name, or has the batch norm's. It is
    the weighted module that fed the first one named after it.
    """
    owner = _named(node, scopes)
    reader = node
    while not owner and (readers := reader.output(0).get_target_inputs()):
        reader = next(iter(readers)).get_node()
        owner = _named(reader, scopes)
    if node.get_type_name() in _WEIGHTED:
        while producers.get(owner) and not _has_matrix(network.get_submodule(owner)):
            owner = producers[owner]
    return owner


def _named(node: ov.Node, scopes: Mapping[str, str]) -> str:
    name: str = node.friendly_name
    if traced := _TRACED.match(name):
        return traced[1]
    return scopes.get(name.partition("/")[0], "")


def _has_matrix(module: torch.nn.Module) -> bool:
    """Whether `module` has weights to quantize; those of a batch norm are vectors."""
    return any(parameter.dim() > 1 for parameter in module.parameters())


def _onnx_scopes(content: bytes) -> dict[str, str]:
    """Module paths by the names of nodes and of their outputs, which openvino takes over."""
    scopes: dict[str, str] = {}
    for node in onnx.load_model_from_string(content).graph.node:
        for entry in node.metadata_props:
            if entry.key == "pkg.torch.onnx.name_scopes":
                *modules, _operation = ast.literal_eval(entry.value)
                scopes |= dict.fromkeys((node.name, *node.output), modules[-1])
    return scopes


def _producers(source: Source) -> dict[str, str]:
    """For each innermost module that is called, the one whose output it took; "" if none."""
    made: dict[int, str] = {}
    producers: dict[str, str] = {}
    alive = []  # or the identities would be given away again

    def follow(path: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: torch.nn.Module, taken: tuple[object, ...], output: object) -> None:
            producers[path] = made.get(id(taken[0]), "") if taken else ""
            made[id(output)] = path
            alive.append((taken, output))

        return source.network.get_submodule(path).register_forward_hook(hook)

    leaves = [path for path, module in source.network.named_modules() if not any(module.children())]
    handles = [follow(path) for path in leaves]
    try:
        with torch.inference_mode():
            feed = next(source.network_feeds())
            source.network(*(torch.from_numpy(each.copy()) for each in feed))
    finally:
        for handle in handles:
            handle.remove()
    return producers
