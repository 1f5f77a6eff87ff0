"""What a worker does: it constructs one backend and does as it is told, as long as its parent."""

import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from threading import Thread
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprep import errors
from edgeprep.burst import measure_burst, measure_busy
from edgeprep.errors import BackendError, EdgePrepError
from edgeprep.interfaces import Backend, Model, Runner
from edgeprep.registry import create
from edgeprep.workers import shared, wire
from edgeprep.workers.origin import Origin

__all__ = ["main"]

_LONGEST = 2000
_FIRST_TO_DIE = "1000"
# What glibc says where a library does not fit into the addresses that are left.
_NO_ROOM = "failed to map segment from shared object"


def main(connection: str, lifeline: str, memory_bytes: str) -> None:
    """Serve the process at the other end of `connection`, and die with `lifeline`.

    Args:
        connection: the number of an open socket, as text, as all arguments of a program are.
        lifeline: of another one, whose other end is closed when the parent is gone.
        memory_bytes: of addresses, that models on CPUs may take.
    """
    _die_with(_socket(lifeline))
    # A core file of an engine would fill the memory card of a device.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where memory runs out, the system shall end this and not the application.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(_FIRST_TO_DIE)
    host = _Host(int(memory_bytes))
    with suppress(EOFError, OSError), _socket(connection) as control:
        while True:
            body, files = wire.receive_with_files(control)
            wire.send(control, host.answer(body, files))
    _die()


class _Host:
    """One backend and its runners."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._backend: Backend | None = None
        self._runners: dict[int, Runner] = {}
        self._limit(memory_bytes)

    def answer(self, body: bytes, files: list[int]) -> wire.Reply:
        """What the request in `body` comes to; `files` came with it."""
        try:
            request = msgspec.msgpack.decode(body, type=wire.Request)
            return wire.Reply(
                value=msgspec.to_builtins(self._do(request, files), builtin_types=[bytes])
            )
        except BaseException as error:  # noqa: BLE001 -- a plugin's code may raise anything
            return wire.Reply(trouble=_trouble(error))
        finally:
            for file in files:
                with suppress(OSError):  # those that have an owner are closed by it
                    os.close(file)

    def _do(self, request: wire.Request, files: list[int]) -> Any:
        match request:
            case wire.Construct(origin):
                self._backend = create(_find(origin))
                return None
            case wire.Ask():
                return self._ask(request)
            case wire.Load():
                return self._load(request, shared.Shared(files[0], _size(request)))
            case wire.Lane():
                connection = socket.socket(fileno=files.pop(0))
                memory = shared.Shared(files[0], request.size_bytes)
                lane = _Lane(connection, memory, self._runners[request.runner])
                Thread(target=lane.serve, daemon=True).start()
                return None
            case wire.Burst():
                runner = self._runners[request.runner]
                feed = shared.views(shared.Shared(files[0], request.size_bytes), runner.inputs)
                if request.callers:
                    return measure_busy(lambda: runner.run(feed), request.callers)
                return measure_burst(lambda: runner.run(feed))
            case wire.Compiled():
                return self._runners[request.runner].compiled()
            case wire.Drop():
                self._runners.pop(request.runner).close()
                return None

    def _ask(self, request: wire.Ask) -> Any:
        backend = self._constructed()
        given = (request.device, request.precision, request.weight_range)
        return getattr(backend, request.method)(*(value for value in given if value is not None))

    def _load(self, request: wire.Load, memory: shared.Shared) -> wire.Loaded:
        files = {}
        offset = 0
        for name, size in request.files:
            files[name] = memory.bytes[offset : offset + size]
            offset += size
        compiled = None
        if request.compiled_bytes is not None:
            compiled = memory.bytes[offset : offset + request.compiled_bytes]
        memory.bytes.close()
        if not request.limited:
            self._limit(None)
        model = Model(format=request.format, files=files)
        backend, arguments = self._constructed(), (model, request.device, request.options)
        if compiled is None:
            runner = backend.load(*arguments)
        else:
            runner = backend.load_compiled(compiled, *arguments)
        self._runners[request.runner] = runner
        return wire.Loaded(inputs=tuple(runner.inputs), outputs=tuple(runner.outputs))

    def _constructed(self) -> Backend:
        if self._backend is None:
            raise BackendError("a backend must be constructed before it is asked, got none")
        return self._backend

    def _limit(self, memory_bytes: int | None) -> None:
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = most if memory_bytes is None else memory_bytes
        if most != resource.RLIM_INFINITY:
            soft = min(soft, most)
        resource.setrlimit(resource.RLIMIT_AS, (soft, most))


class _Lane:
    """One thread of the parent, and where its arrays lie."""

    def __init__(self, connection: socket.socket, memory: shared.Shared, runner: Runner) -> None:
        self._connection = connection
        self._runner = runner
        self._specs = tuple(runner.outputs)
        arrays = shared.views(memory, (*runner.inputs, *self._specs))
        self._inputs = arrays[: len(arrays) - len(self._specs)]
        self._rooms = arrays[len(self._inputs) :]

    def serve(self) -> None:
        """Run the model whenever it is asked for, until nobody is there to ask."""
        with self._connection, suppress(OSError):
            while self._connection.recv(1):
                body = self._run()
                self._connection.sendall(wire.LENGTH.pack(len(body)) + body)

    def _run(self) -> bytes:
        try:
            outputs = tuple(self._runner.run(self._inputs))
            if self._are_as_promised(outputs):
                for room, output in zip(self._rooms, outputs, strict=True):
                    np.copyto(room, output)
                return b""
            fault = wire.Fault(outputs=tuple(map(_whole, outputs)))
        except BaseException as error:  # noqa: BLE001 -- a plugin's code may raise anything
            fault = wire.Fault(trouble=_trouble(error))
        return msgspec.msgpack.encode(fault)

    def _are_as_promised(self, outputs: Sequence[NDArray[Any]]) -> bool:
        return len(outputs) == len(self._specs) and all(
            output.shape == spec.shape and output.dtype == spec.dtype
            for output, spec in zip(outputs, self._specs, strict=True)
        )


def _socket(number: str) -> socket.socket:
    """The open socket `number`, which is nothing for the processes that engines start."""
    found = socket.socket(fileno=int(number))
    found.set_inheritable(False)
    return found


def _die() -> None:
    """End this process and what an engine has started in it.

    NOTE: not by returning, as what engines do at the end of a process may hang.
    """
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _die_with(lifeline: socket.socket) -> None:
    """As `_die`, when the other end of `lifeline` is closed, whatever is being done then.

    NOTE: not by PR_SET_PDEATHSIG, which takes the end of the thread that started this process for
    the end of the process.
    """
    try:
        import fcntl

        # All that is started here, too.
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        # Linux alone; SIGKILL, as engines may hold the interpreter or catch all else.
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (AttributeError, OSError):
        pass

    def wait() -> None:
        # NOTE: not by receiving, as the system tells of nothing that somebody is waiting for.
        poll = select.poll()
        poll.register(lifeline, select.POLLIN)
        poll.poll()
        _die()

    # It also sees what had happened before.
    Thread(target=wait, daemon=True).start()


def _find(origin: Origin) -> type[Backend]:
    found: Any = _module(origin)
    for part in origin.name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]  # as the parent has looked


def _module(origin: Origin) -> ModuleType:
    try:
        module = import_module(origin.module)
    except ModuleNotFoundError as error:
        # Only where it is this one that is not found, and none that it imports.
        if not origin.file or not origin.module.startswith(f"{error.name}"):
            raise
    else:
        return module
    spec = spec_from_file_location(origin.module, origin.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{origin.file}: must be a Python module, got something else")
    module = module_from_spec(spec)
    sys.modules[origin.module] = module
    spec.loader.exec_module(module)
    return module


def _trouble(error: BaseException) -> wire.Trouble:
    out_of_memory = _out_of_memory(error)
    error = out_of_memory or error
    is_ours = isinstance(error, EdgePrepError)
    name = type(error).__name__ if is_ours and type(error).__name__ in errors.__all__ else ""
    words: Callable[[BaseException], str] = str if name else repr
    try:
        message = words(error)[:_LONGEST]
    except Exception:  # noqa: BLE001 -- what a plugin's error does when it is shown
        message = type(error).__name__
    return wire.Trouble(error=name, message=message, out_of_memory=out_of_memory is not None)


def _out_of_memory(error: BaseException | None) -> BaseException | None:
    """It, or what caused it, where that is for want of memory."""
    while error is not None:
        is_of_libraries = type(error) in (ImportError, OSError)
        if isinstance(error, MemoryError) or (is_of_libraries and _says_no_room(error)):
            return error
        error = error.__cause__
    return None


def _says_no_room(error: BaseException) -> bool:
    # NOTE: at its end, as a reason may follow, such as that what lies there may not be run.
    return str(error).endswith(_NO_ROOM)


def _whole(output: Any) -> wire.Output:
    array = np.asarray(output)
    if array.dtype.hasobject:
        raise BackendError(f"outputs must be numbers, got {type(output).__name__}")
    return wire.Output(dtype=array.dtype.str, shape=array.shape, content=array.tobytes())


def _size(request: wire.Load) -> int:
    return max(sum(size for _, size in request.files) + (request.compiled_bytes or 0), 1)
