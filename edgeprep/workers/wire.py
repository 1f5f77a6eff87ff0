"""Messages between a process and its workers: a length, then MessagePack; files go beside them."""

import os
import socket
from collections.abc import Callable, Sequence
from struct import Struct as Packing
from typing import Any

import msgspec
from msgspec import Struct

from edgeprep.interfaces import Device, Precision, WeightRange
from edgeprep.tensors import TensorSpec
from edgeprep.workers.origin import Origin

__all__ = [
    "LENGTH",
    "Ask",
    "Burst",
    "Compiled",
    "Construct",
    "Drop",
    "Fault",
    "Lane",
    "Load",
    "Loaded",
    "Output",
    "Reply",
    "Request",
    "Trouble",
    "receive",
    "receive_exactly",
    "receive_with_files",
    "send",
]

LENGTH = Packing("<I")
_MOST_FILES = 2


class Construct(Struct, frozen=True, tag=True):
    """Import a backend and construct it."""

    origin: Origin


class Ask(Struct, frozen=True, tag=True):
    """Call a method of the backend that answers with plain values."""

    method: str
    device: Device | None = None
    precision: Precision | None = None
    weight_range: WeightRange | None = None


class Load(Struct, frozen=True, tag=True):
    """Load a model, whose files lie one after another in the memory that comes along.

    After them lies its compiled form, where it is loaded from that.
    """

    runner: int
    format: str
    files: tuple[tuple[str, int], ...]
    compiled_bytes: int | None
    device: Device
    options: dict[str, int | str]
    limited: bool


class Lane(Struct, frozen=True, tag=True):
    """Run a model for whoever asks at the socket, in the memory, that come along."""

    runner: int
    size_bytes: int


class Burst(Struct, frozen=True, tag=True):
    """Time a short run of calls, on the inputs in the memory that comes along.

    Attributes:
        runner: whose.
        size_bytes: of the memory.
        callers: so many threads keep it busy; 0: one calls, and nothing is shared out.
    """

    runner: int
    size_bytes: int
    callers: int = 0


class Compiled(Struct, frozen=True, tag=True):
    """Give the compiled form of a runner's model."""

    runner: int


class Drop(Struct, frozen=True, tag=True):
    """Close a runner."""

    runner: int


Request = Construct | Ask | Load | Lane | Burst | Compiled | Drop


class Loaded(Struct, frozen=True, kw_only=True):
    """What a loaded model takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Trouble(Struct, frozen=True, kw_only=True):
    """What a worker's backend raised.

    Attributes:
        error: the name of an error of edgeprep; "" for others.
        message: what it says, or its representation.
        out_of_memory: whether there was not enough memory.
    """

    error: str
    message: str
    out_of_memory: bool


class Reply(Struct, frozen=True, kw_only=True):
    """What a request came to.

    Attributes:
        value: what was asked for, as plain values.
        trouble: why there is none.
    """

    value: Any = None
    trouble: Trouble | None = None


class Output(Struct, frozen=True, kw_only=True):
    """An array that is not as the model says, such as of another shape."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes


class Fault(Struct, frozen=True, kw_only=True):
    """What a run came to, where it is not the outputs that were promised."""

    outputs: tuple[Output, ...] = ()
    trouble: Trouble | None = None


def send(connection: socket.socket, message: Struct, files: Sequence[int] = ()) -> None:
    """Send `message`, with open `files` beside it."""
    body = msgspec.msgpack.encode(message)
    head = LENGTH.pack(len(body))
    if files:
        socket.send_fds(connection, [head], list(files))
    else:
        connection.sendall(head)
    connection.sendall(body)


def receive(connection: socket.socket, wait: Callable[[], object] = bool) -> bytes:
    """The next message, encoded.

    Args:
        connection: where it comes from.
        wait: called before each look; it returns when there is something, or raises.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = LENGTH.unpack(receive_exactly(connection, LENGTH.size, wait))
    return receive_exactly(connection, length, wait)


def receive_with_files(connection: socket.socket) -> tuple[bytes, list[int]]:
    """The next message, encoded, and the open files that came with it."""
    head, files, _, _ = socket.recv_fds(connection, LENGTH.size, _MOST_FILES)
    for file in files:
        os.set_inheritable(file, False)
    head += receive_exactly(connection, LENGTH.size - len(head)) if head else b""
    if not head:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    return receive_exactly(connection, length), files


def receive_exactly(
    connection: socket.socket, size: int, wait: Callable[[], object] = bool
) -> bytes:
    """The next `size` bytes; see `receive`."""
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        wait()
        count = connection.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return bytes(content)
