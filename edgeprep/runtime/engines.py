"""What each installed backend says of this machine."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from edgeprep.monitor import Event
from edgeprep.registry import Registry
from edgeprep.runtime.isolation import HERE, Engines, check_isolate

__all__ = ["describe_backends"]


def describe_backends(registry: Registry) -> list[dict[str, Any]]:
    """Each backend with its formats, devices and versions, or the reason why it cannot run.

    Devices that it knows and cannot reach are `absent`, each with its reason. Engines are asked in
    processes of their own, so that a driver that crashes is a reason; see `check_isolate`.
    """
    classes = registry.classes("backend")
    with _engines() as engines:
        engines.start(classes)
        return [
            {"name": cls.name, "formats": list(cls.formats), **_describe(engines.construct(cls))}
            for cls in classes
        ]


@contextmanager
def _engines() -> Iterator[Engines]:
    if check_isolate(None) == "never":
        yield HERE
        return
    from edgeprep.runtime.hosted import HostedEngines

    # No verdicts: who asks wants to know how it is now.
    with closing(HostedEngines(limits=None, verdicts=None, tell=_ignore)) as engines:
        yield engines


def _ignore(event: Event) -> None:
    """What happens is among the reasons."""


def _describe(backend: Any) -> dict[str, Any]:
    if isinstance(backend, str):
        return _nothing(backend)
    try:
        devices = [
            {"name": device.name, "kind": device.kind, "description": device.description}
            for device in backend.devices()
        ]
        absent = [
            {"name": device.name, "kind": device.kind, "reason": device.reason}
            for device in backend.absent()
        ]
        versions = dict(backend.versions())
        return {"reason": None, "devices": devices, "absent": absent, "versions": versions}
    except Exception as error:  # noqa: BLE001 -- an engine may fail in any way, and is shown
        return _nothing(f"{type(error).__name__}: {error}")


def _nothing(reason: str) -> dict[str, Any]:
    return {"reason": reason, "devices": [], "absent": [], "versions": {}}
