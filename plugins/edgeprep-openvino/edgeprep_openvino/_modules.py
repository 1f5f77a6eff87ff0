"""Which operations of a converted network came from which torch module."""

import ast
import re
from collections.abc import Mapping

import onnx
import openvino as ov  # type: ignore[import-untyped]
import torch

from edgeprep.errors import ExportError
from edgeprep.interfaces import Source

__all__ = ["operations_of"]

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

    Args:
        modules: paths in `source.network`.
        network: `source.network`, converted.
        source: where `network` comes from.
        road: "torch" or "onnx".

    Raises:
        ExportError: a module has no operation.
    """
    if not modules:
        return ()
    scopes = _onnx_scopes(source.network_onnx) if road == "onnx" else {}
    producers = _producers(source)
    owners = {
        node.friendly_name: _owner(node, scopes, producers, source.network)
        for node in network.get_ordered_ops()
        if node.get_type_name() not in _ENDS
    }
    found = {
        module: [name for name, owner in owners.items() if f"{owner}.".startswith(f"{module}.")]
        for module in modules
    }
    for module, names in found.items():
        if not names:
            raise ExportError(
                f"keep_float: must name modules that openvino computes, got {module!r}"
            )
    return tuple(sorted({name for names in found.values() for name in names}))


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
        while owner in producers and not _has_matrix(network.get_submodule(owner)):
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
    """For each innermost module, the innermost module whose output it took."""
    made: dict[int, str] = {}
    producers: dict[str, str] = {}
    alive = []  # or the identities would be given away again

    def follow(path: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: torch.nn.Module, taken: tuple[object, ...], output: object) -> None:
            if taken and id(taken[0]) in made:
                producers[path] = made[id(taken[0])]
            made[id(output)] = path
            alive.append((taken, output))

        return source.network.get_submodule(path).register_forward_hook(hook)

    leaves = [path for path, module in source.network.named_modules() if not any(module.children())]
    handles = [follow(path) for path in leaves]
    try:
        with torch.inference_mode():
            source.network(torch.from_numpy(source.calibration_preprocessed[:1].copy()))
    finally:
        for handle in handles:
            handle.remove()
    return producers
