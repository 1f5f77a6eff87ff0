"""Every operator that a network computes, with the path of the module that computes it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from edgeprep.compress.operators import OperatorKind, kind_of, name_of, part_of

__all__ = ["Place", "Watch"]


class Place(NamedTuple):
    """One operator of a network, the same at every call.

    Attributes:
        path: of the module in whose `forward` it runs, as in `named_modules()`.
        operator: its name, such as "conv2d".
        call: how many of that name ran in that module before it.
    """

    path: str
    operator: str
    call: int

    def __str__(self) -> str:
        where = f"{self.path!r}" if self.path else "the network itself"
        return f"operator {self.operator!r} of {where}"


class Watch(TorchFunctionMode):
    """Sees the operators of `network`, in modules and in functions alike.

    `with watch.on_network(): network(inputs)`. Subclasses say what is done with them.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self._stack: list[str] = []
        self._calls: Counter[tuple[str, str]] = Counter()

    def begin(self, inputs: Sequence[Any]) -> None:
        """The network is called."""

    def end(self, outputs: Any) -> None:
        """It has answered."""

    def operator(
        self,
        place: Place,
        kind: OperatorKind,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """What `function(*args, **kwargs)` is to give."""
        raise NotImplementedError

    @contextmanager
    def on_network(self) -> Iterator[None]:
        """Inside, every call of the network is watched."""
        with ExitStack() as hooks:
            for path, module in self.network.named_modules():
                enter = module.register_forward_pre_hook(
                    partial(self._enter, path), with_kwargs=True, prepend=True
                )
                leave = module.register_forward_hook(partial(self._leave, path), always_call=True)
                hooks.callback(enter.remove)
                hooks.callback(leave.remove)
            hooks.enter_context(self)
            yield

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        # What runs outside of the network, as preprocessing and losses do.
        if not self._stack:
            return func(*args, **kwargs)
        part = part_of(func)
        if part is not None:
            with self:
                return part(*args, **kwargs)
        name = name_of(func)
        kind = kind_of(name)
        key = self._stack[-1], name
        place = Place(*key, self._calls[key])
        if kind != "same":
            self._calls[key] += 1
        return self.operator(place, kind, func, args, kwargs)

    def _enter(
        self, path: str, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if not self._stack:
            self.begin([*args, *kwargs.values()])
            self._calls.clear()
        self._stack.append(path)

    def _leave(self, path: str, module: torch.nn.Module, args: Any, outputs: Any) -> None:
        if not self._stack:  # `begin` has raised
            return
        self._stack.pop()
        # NOTE: torch has None for what a module that raised has given.
        if not self._stack and outputs is not None:
            self.end(outputs)
