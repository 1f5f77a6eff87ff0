"""Which modules compute an operator that an engine complains of by its name."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from edgeprep.compress.operators import OperatorKind
from edgeprep.compress.watch import Place, Watch

__all__ = ["modules_named_in"]

# What torch calls otherwise than ONNX, OpenVINO or TFLite do, without "_" and in lower case.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "add": ("radd", "iadd"),
    "averagepool": ("avgpool2d", "adaptiveavgpool2d"),
    "averagepool2d": ("avgpool2d", "adaptiveavgpool2d"),
    "batchmatmul": ("matmul", "bmm"),
    "concat": ("cat",),
    "concatenation": ("cat",),
    "conv": ("conv2d", "conv1d"),
    "depthwiseconv2d": ("conv2d",),
    "div": ("truediv", "rtruediv", "divide"),
    "divide": ("div", "truediv", "rtruediv"),
    "fullyconnected": ("linear",),
    "gemm": ("linear",),
    "hardswish": ("hardswish",),
    "layernormalization": ("layernorm",),
    "logistic": ("sigmoid",),
    "matmul": ("linear", "bmm"),
    "mul": ("rmul", "imul", "multiply"),
    "multiply": ("mul", "rmul", "imul"),
    "pow": ("rpow", "square"),
    "resize": ("interpolate",),
    "rsqrt": ("rsqrt",),
    "sub": ("rsub", "isub", "subtract"),
    "subtract": ("sub", "rsub", "isub"),
}


def modules_named_in(
    message: str, network: torch.nn.Module, inputs: torch.Tensor
) -> tuple[str, ...]:
    """The modules of `network` that compute what `message` names, in the order in which they run.

    Args:
        message: of an engine, such as "node 'x' of type DIV is not supported".
        network: in eval mode.
        inputs: what it takes.
    """
    words = {_bare(word) for word in re.findall(r"[A-Za-z][A-Za-z0-9_]*", message)}
    wanted = words | {alias for word in words for alias in _ALIASES.get(word, ())}
    watch = _Seen(network)
    with torch.inference_mode(), watch.on_network():
        network(inputs)
    # What runs in the network's own forward cannot be kept in float by a path.
    found = (place.path for place in watch.places if place.path and _bare(place.operator) in wanted)
    return tuple(dict.fromkeys(found))


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


class _Seen(Watch):
    """Every operator, computed as it is."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__(network)
        self.places: list[Place] = []

    def operator(
        self,
        place: Place,
        kind: OperatorKind,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        # What moves values about, as `float` does, is not what an engine complains of.
        if kind != "same":
            self.places.append(place)
        return function(*args, **kwargs)
