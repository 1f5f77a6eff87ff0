"""What sessions count, as Prometheus reads it. Needs prometheus_client; sessions do not."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeprep.errors import BackendUnavailable
from edgeprep.monitor.sessions import Tells, check_sessions

if TYPE_CHECKING:
    from prometheus_client.registry import Collector, CollectorRegistry

__all__ = ["collector", "register", "text"]


def register(*sessions: Tells, registry: "CollectorRegistry | None" = None) -> "Collector":
    """Have a registry of prometheus_client collect `sessions`, beside those that it has.

    Each part of an application may register its own sessions: they share one collector, with those
    who came earlier before those who come later, and each is there once.

    Args:
        sessions: they are held, with what they have counted, as long as the collector is
            registered; one that was closed, until others are.
        registry: None: the one that prometheus_client serves by default.

    Returns:
        The registry's collector of all of them; `registry.unregister(…)` takes it out.

    Raises:
        InputError: one is no session, or there is none; or the registry has a `collector` that was
            registered otherwise.
        BackendUnavailable: prometheus_client is not installed.
    """
    check_sessions("register", sessions)
    made: Collector = _twin().register(sessions, registry)
    return made


def collector(*sessions: Tells) -> "Collector":
    """What a registry of prometheus_client collects of `sessions`: one for all of them.

    Histograms of steps, counters of errors, drops and events, gauges of queues, drift, memory and
    heat, each with the session's name as label `session`; where names are the same, with a number.
    A registry takes one of these alone, as each has the process's memory in it: see `register`.

    Args:
        sessions: open or closed; where one is no longer wanted, register another collector.

    Raises:
        InputError: one is no session, or there is none.
        BackendUnavailable: prometheus_client is not installed.

    Source: the names and units that Prometheus advises (prometheus.io/docs/practices/naming).
    """
    check_sessions("collector", sessions)
    made: Collector = _twin().SessionCollector(sessions)
    return made


def text(*sessions: Tells) -> str:
    """The same, as the text that a server answers to `GET /metrics`.

    Raises:
        InputError: one is no session, or there is none.
        BackendUnavailable: prometheus_client is not installed.
    """
    made = collector(*sessions)
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(made)
    return generate_latest(registry).decode()


def _twin() -> Any:
    try:
        return import_module("edgeprep.monitor._prometheus")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prometheus_client":
            raise
        raise BackendUnavailable(
            "Prometheus needs prometheus_client, which is not installed; "
            "pip install edgeprep[prometheus]"
        ) from error
