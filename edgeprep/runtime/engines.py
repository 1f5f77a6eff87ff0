"""What each installed backend says of this machine."""

from typing import Any

from edgeprep.registry import Registry
from edgeprep.runtime.candidates import construct

__all__ = ["describe_backends"]


def describe_backends(registry: Registry) -> list[dict[str, Any]]:
    """Each backend with its formats, devices and versions, or the reason why it cannot run.

    Devices that it knows and cannot reach are `absent`, each with its reason.
    """
    return [
        {"name": cls.name, "formats": list(cls.formats), **_describe(construct(cls))}
        for cls in registry.classes("backend")
    ]


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
