"""The plain values of a pickle, read without executing it.

A pickle is a program for a small machine, and may call whatever it names. This machine knows the
few operations that dictionaries, lists, texts, numbers and arrays of bytes are written with; the
functions that it knows by name are four, none of which it calls: it makes the values itself.
"""

import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["read_plain_pickle"]

_MOST_OPERATIONS = 5_000_000


class _Mark:
    """Where a list of arguments begins on the stack."""


class _Dtype:
    """The type of an array's elements, which has to be unsigned bytes."""


class _Array:
    """An array that has no content yet, or has it."""

    content: np.ndarray[Any, np.dtype[np.uint8]] | None = None


def _dtype(code: object, *_: object) -> _Dtype:
    if code not in ("u1", b"u1"):
        raise ValueError(f"must have arrays of unsigned bytes, got {code!r}")
    return _Dtype()


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    # How Python 3 writes bytes for readers of Python 2.
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"must have bytes in latin1, got {encoding!r}")
    return text.encode("latin-1")


class _Type:
    """The class of arrays, which is an argument and never called."""


_KNOWN: Mapping[str, Any] = {
    "numpy.core.multiarray _reconstruct": lambda *_: _Array(),
    "numpy._core.multiarray _reconstruct": lambda *_: _Array(),
    "numpy dtype": _dtype,
    "_codecs encode": _encode,
    "numpy ndarray": _Type(),
}


def read_plain_pickle(content: bytes) -> object:
    """The value that a pickle stands for: of dicts, lists, tuples, text, numbers, uint8 arrays.

    Text that Python 2 wrote as bytes comes as text, in latin-1.

    Args:
        content: of the file.

    Raises:
        ValueError: it has another operation or names another function, or is not whole.

    Source: the operations as `pickletools` of the standard library documents them; the state of
        an array as `ndarray.__reduce__` gives it.
    """
    try:
        return _plain(_run(content))
    except (AttributeError, LookupError, StopIteration, TypeError) as error:
        raise ValueError(f"must be a whole pickle, got one that fails with {error!r}") from error


def _run(content: bytes) -> object:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for count, (operation, argument, _) in enumerate(_operations(content)):
        name = operation.name
        if count == _MOST_OPERATIONS:
            raise ValueError(f"must have at most {_MOST_OPERATIONS} operations, got more")
        if name == "STOP":
            return stack.pop()
        if name in _PUSH:
            stack.append(_PUSH[name](argument))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[int(argument or 0)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[int(argument or 0)])
        elif name in _CHANGE:
            _CHANGE[name](stack)
        elif name == "GLOBAL":
            stack.append(_named(str(argument)))
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"must have plain values only, got the operation {name}")
    raise ValueError("must be a whole pickle, got one without an end")


def _operations(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(content)
    except ValueError as error:
        rule = "must be a whole pickle"
        raise ValueError(f"{rule}, got one that fails with {str(error)!r}") from error


def _named(name: str) -> object:
    if name not in _KNOWN:
        raise ValueError(f"must have plain values only, got {name.replace(' ', '.')!r}")
    return _KNOWN[name]


def _since_mark(stack: list[Any]) -> list[Any]:
    at = next(at for at in reversed(range(len(stack))) if isinstance(stack[at], _Mark))
    values = stack[at + 1 :]
    del stack[at:]
    return values


def _set_items(stack: list[Any]) -> None:
    values = _since_mark(stack)
    stack[-1].update(_pairs(values))


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    stack[-1].update(_pairs([key, value]))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    for key in values[::2]:
        # NOTE: tuples within tuples are hashed in C by recursion, which ends the process.
        if type(key) not in (str, bytes, int):
            raise ValueError(f"must have keys of text, bytes and whole numbers, got {type(key)}")
    return dict(zip(values[::2], values[1::2], strict=True))


def _tuple_of(count: int) -> Callable[[list[Any]], None]:
    def change(stack: list[Any]) -> None:
        values = tuple(stack[-count:])
        del stack[-count:]
        stack.append(values)

    return change


def _tuple(stack: list[Any]) -> None:
    stack.append(tuple(_since_mark(stack)))


def _list(stack: list[Any]) -> None:
    stack.append(_since_mark(stack))


def _dict(stack: list[Any]) -> None:
    values = _since_mark(stack)
    stack.append(_pairs(values))


def _append(stack: list[Any]) -> None:
    value = stack.pop()
    stack[-1].append(value)


def _append_all(stack: list[Any]) -> None:
    values = _since_mark(stack)
    stack[-1].extend(values)


def _stack_global(stack: list[Any]) -> None:
    name, module = stack.pop(), stack.pop()
    stack.append(_named(f"{module} {name}"))


def _reduce(stack: list[Any]) -> None:
    arguments = stack.pop()
    stack.append(stack.pop()(*arguments))


def _build(stack: list[Any]) -> None:
    state = stack.pop()
    if isinstance(stack[-1], _Dtype):
        return
    if not isinstance(stack[-1], _Array):
        raise ValueError(f"must have plain values only, got the state of a {type(stack[-1])}")
    _, shape, kind, columns_first, values = state
    if not isinstance(kind, _Dtype):
        raise ValueError(f"must have arrays of unsigned bytes, got {kind!r}")
    flat = np.frombuffer(_as_bytes(values), np.uint8)
    stack[-1].content = flat.reshape(shape, order="F" if columns_first else "C")


def _as_bytes(values: object) -> bytes:
    if isinstance(values, str):
        return values.encode("latin-1")
    if not isinstance(values, (bytes, bytearray)):
        raise ValueError(f"must have arrays of unsigned bytes, got content of {type(values)}")
    return bytes(values)


def _plain(value: object) -> object:
    """`value` with arrays in the place of what they were made of.

    They are values of one dictionary, and looked for nowhere else: a pickle may refer to a list
    from within itself.
    """
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items()}
    return _content(value)


def _content(value: object) -> object:
    if not isinstance(value, _Array):
        return value
    if value.content is None:
        raise ValueError("must be a whole pickle, got an array without content")
    return value.content


def _same(argument: object) -> object:
    return argument


_PUSH: Mapping[str, Callable[[object], object]] = {
    **dict.fromkeys(
        (
            *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1"),
            *("STRING", "BINSTRING", "SHORT_BINSTRING"),
            *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        ),
        _same,
    ),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "MARK": lambda _: _Mark(),
}

_CHANGE: Mapping[str, Callable[[list[Any]], None]] = {
    "DICT": _dict,
    "LIST": _list,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _append_all,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
