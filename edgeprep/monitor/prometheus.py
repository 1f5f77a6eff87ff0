"""What sessions count, as Prometheus reads it. Needs prometheus_client; sessions do not."""

from importlib import import_module
from typing import TYPE_CHECKING

from edgeprep.errors import BackendUnavailable
from edgeprep.monitor.told import Tells, check_sessions

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

__all__ = ["collector", "text"]


def collector(*sessions: Tells) -> "Collector":
    """What a registry of prometheus_client collects of `sessions`: one for all of them.

    Histograms of steps, counters of errors, drops and events, gauges of queues, drift, memory and
    heat, each with the session's name as label `session`; where names are the same, with a number.

    Args:
        sessions: open or closed; where one is no longer wanted, register another collector.

    Raises:
        InputError: one is no session.
        BackendUnavailable: prometheus_client is not installed.

    Source: the names and units that Prometheus advises (prometheus.io/docs/practices/naming).
    """
    check_sessions("collector", sessions)
    try:
        twin = import_module("edgeprep.monitor._prometheus")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "prometheus_client":
            raise
        raise BackendUnavailable(
            "Prometheus needs prometheus_client, which is not installed; "
            "pip install edgeprep[prometheus]"
        ) from error
    made: Collector = twin.SessionCollector(sessions)
    return made


def text(*sessions: Tells) -> str:
    """The same, as the text that a server answers to `GET /metrics`.

    Raises:
        InputError: one is no session.
        BackendUnavailable: prometheus_client is not installed.
    """
    made = collector(*sessions)
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(made)
    return generate_latest(registry).decode()
