"""What sessions count, as OpenTelemetry collects it. Needs opentelemetry; sessions do not."""

from importlib import import_module
from typing import TYPE_CHECKING

from edgeprep.errors import BackendUnavailable
from edgeprep.monitor.sessions import Tells, check_sessions

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["observe"]


def observe(*sessions: Tells, provider: "MeterProvider | None" = None) -> None:
    """Hand on what `sessions` count whenever a reader of `provider` collects.

    Each part of an application may call it for its own sessions: they join those that the provider
    has, which come first, and each is there once.

    Instruments are `edgeprep.step.duration` (histogram, s), `edgeprep.errors`, `edgeprep.events`,
    `edgeprep.dropped`, `edgeprep.queued`, `edgeprep.drift`, `edgeprep.process.memory` (By),
    `edgeprep.process.cpu.time` (s), `edgeprep.worker.memory` (By), `edgeprep.worker.cpu.time` (s)
    and `edgeprep.temperature` (Cel); attributes are `session`, `step`, `error`, `kind` and `fault`.

    The histogram begins at this call, all else when a session was opened. OpenTelemetry wants each
    duration by itself, so that a reader takes some 20 µs for each that came since the last time:
    0.15 s a minute for 30 calls a second of four steps. It takes 50,000 at most each time, a second
    of work, of all classes alike; the rest comes with the next ones. So those who ask every minute
    have all of up to 200 calls a second, and those who ask every 10 seconds of up to 1200.

    Args:
        sessions: the provider holds them; one that was closed, until others join.
        provider: of meters; None: the one that the application has set.

    Raises:
        InputError: one is no session, or there is none; `provider` is none.
        BackendUnavailable: opentelemetry is not installed.
    """
    check_sessions("observe", sessions)
    try:
        twin = import_module("edgeprep.monitor._opentelemetry")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "opentelemetry":
            raise
        raise BackendUnavailable(
            "OpenTelemetry needs opentelemetry, which is not installed; "
            "pip install edgeprep[opentelemetry]"
        ) from error
    twin.observe(sessions, provider)
