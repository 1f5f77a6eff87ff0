"""A backend in workers, one a device: a backend like any other, that cannot hurt this process."""

from collections.abc import Mapping
from itertools import count
from threading import RLock
from typing import TypeVar

import msgspec

from edgeprep.errors import BackendError
from edgeprep.interfaces import Absent, Backend, Device, Model, Options, Precision, WeightRange
from edgeprep.workers import shared, wire
from edgeprep.workers.limits import Limits
from edgeprep.workers.origin import find_origin
from edgeprep.workers.runner import Seat, WorkerRunner
from edgeprep.workers.worker import Worker

__all__ = ["IsolatedBackend"]

T = TypeVar("T")


class IsolatedBackend(Backend):
    """A backend whose engine is imported, asked and run in processes of its own, one a device.

    It is what its class says of itself, and answers as it does. Whatever it is asked may raise
    BackendCrashed or BackendTimeout, and BackendUnavailable where a library that it needs is
    missing; the next call has a new process.

    Args:
        cls: the class of the backend. It can be imported by its name (`find_origin`).
        limits: what a worker may take.

    Raises:
        BackendError: its class cannot be imported elsewhere.
        OSError: the system starts no process.
    """

    def __init__(self, cls: type[Backend], *, limits: Limits | None = None) -> None:
        origin = find_origin(cls)
        if isinstance(origin, str):
            rule = "must be a class that a worker can import"
            raise BackendError(f"backend {cls.name!r}: {rule}, got one where {origin}")
        # What the class says of itself is said of this value alone.
        self.__dict__.update(
            name=cls.name,
            formats=cls.formats,
            requires=cls.requires,
            install=cls.install,
            widths=cls.widths,
        )
        self._origin = origin
        self._limits = limits or Limits()
        self._lock = RLock()
        self._numbers = count(1)
        self._devices: tuple[Device, ...] | None = None
        self._is_closing = False
        # The first device's is the one that was asked for devices.
        self._workers: dict[str, Worker] = {"": self._start()}

    def wait_until_ready(self) -> None:
        """Wait until the backend is constructed.

        Raises:
            BackendUnavailable: a library that it needs is missing or cannot be imported.
            BackendError: it failed, or the worker died or took too long.
        """
        self._worker("").wait_until_ready()

    def devices(self) -> tuple[Device, ...]:
        """See `Backend.devices`; they are asked for once."""
        if self._devices is None:
            self._devices = self._ask(wire.Ask("devices"), tuple[Device, ...])
        return self._devices

    def absent(self) -> tuple[Absent, ...]:
        """See `Backend.absent`."""
        return self._ask(wire.Ask("absent"), tuple[Absent, ...])

    def options(self, device: Device, precision: Precision) -> tuple[Options, ...]:
        """See `Backend.options`."""
        request = wire.Ask("options", device=device, precision=precision)
        return tuple(self._ask(request, tuple[dict[str, int | str], ...]))

    def refuse(self, device: Device, precision: Precision, weight_range: WeightRange) -> str | None:
        """See `Backend.refuse`."""
        request = wire.Ask("refuse", device=device, precision=precision, weight_range=weight_range)
        return self._ask(request, str | None)  # type: ignore[arg-type]  # msgspec takes unions

    def versions(self) -> Mapping[str, str]:
        """See `Backend.versions`."""
        return self._ask(wire.Ask("versions"), dict[str, str])

    def load(self, model: Model, device: Device, options: Options) -> WorkerRunner:
        """See `Backend.load`; `model` is held until the runner is closed.

        Raises:
            BackendCrashed: the worker died.
            BackendTimeout: it did not answer in time.
            BackendError: the library refuses the model, the device or the options.
        """
        return WorkerRunner(lambda: self._seat(model, device, options), self._leave)

    def compiled_for(self, device: Device) -> str | None:
        """See `Backend.compiled_for`."""
        return self._ask(wire.Ask("compiled_for", device=device), str | None)  # type: ignore[arg-type]  # as above

    def load_compiled(
        self, compiled: bytes, model: Model, device: Device, options: Options
    ) -> WorkerRunner:
        """See `Backend.load_compiled`; all that is given is held until the runner is closed.

        Raises:
            BackendCrashed: the worker died.
            BackendTimeout: it did not answer in time.
            BackendError: the library refuses it; then the model is compiled again.
        """
        return WorkerRunner(lambda: self._seat(model, device, options, compiled), self._leave)

    def close(self) -> None:
        """End the workers; those that hold a model end when it is closed."""
        with self._lock:
            self._is_closing = True
            for worker in self._workers.values():
                if not worker.runners:
                    worker.end()

    def _start(self) -> Worker:
        return Worker(self._origin, name=self.name, limits=self._limits)

    def _worker(self, place: str) -> Worker:
        with self._lock:
            worker = self._workers.get(place)
            if worker is None or worker.is_dead:
                worker = self._workers[place] = self._start()
            return worker

    def _ask(self, request: wire.Ask, kind: type[T]) -> T:
        task = f"answer {request.method}()"
        given = self._worker("").ask(request, task=task, within_s=self._limits.start_s)
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            rule = f"must {task} as its interface says"
            raise BackendError(f"backend {self.name!r}: {rule}, got {given!r}") from error

    def _seat(
        self, model: Model, device: Device, options: Options, compiled: bytes | None = None
    ) -> Seat:
        first = self.devices()[0].name if self._devices else device.name
        with self._lock:
            worker = self._worker("" if device.name == first else device.name)
            worker.runners += 1
        try:
            return self._load_in(worker, model, device, options, compiled)
        except BaseException:
            self._count_out(worker)
            raise

    def _load_in(
        self,
        worker: Worker,
        model: Model,
        device: Device,
        options: Options,
        compiled: bytes | None = None,
    ) -> Seat:
        number = next(self._numbers)
        contents = [*model.files.values(), compiled or b""]
        memory = shared.create(sum(map(len, contents)))
        try:
            offset = 0
            for content in contents:
                memory.bytes[offset : offset + len(content)] = content
                offset += len(content)
            request = wire.Load(
                runner=number,
                format=model.format,
                files=tuple((name, len(content)) for name, content in model.files.items()),
                compiled_bytes=None if compiled is None else len(compiled),
                device=device,
                options=dict(options),
                limited=device.kind == "cpu",
            )
            given = worker.ask(
                request,
                [memory.file],
                task="load a model",
                within_s=self._limits.load_s,
                runner=number,
            )
        finally:
            memory.close_file()
        loaded = msgspec.convert(given, wire.Loaded)
        return Seat(worker=worker, number=number, loaded=loaded)

    def _leave(self, seat: Seat) -> None:
        worker = seat.worker
        try:
            if not worker.is_dead:
                limit = self._limits.run_s
                request = wire.Drop(seat.number)
                worker.ask(request, task="close a model", within_s=limit, runner=seat.number)
        finally:
            self._count_out(worker)

    def _count_out(self, worker: Worker) -> None:
        with self._lock:
            worker.runners -= 1
            if self._is_closing and not worker.runners:
                worker.end()
