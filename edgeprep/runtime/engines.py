"""What each installed backend says of this machine."""

from typing import Any

from edgeprep.registry import Registry
from edgeprep.runtime.candidates import construct

__all__ = ["describe_backends"]


def describe_backends(registry: Registry) -> list[dict[str, Any]]:
    """Each backend with its formats, devices and versions, or the reason why it cannot run."""
    return [
        {"name": cls.name, "formats": list(cls.formats), **_describe(construct(cls))}
        for cls in registry.classes("backend")
    ]


def _describe(backend: Any) -> dict[str, Any]:
    if isinstance(backend, str):
        return {"reason": backend, "devices": [], "versions": {}}
    try:
        devices = [
            {"name": device.name, "kind": device.kind, "description": device.description}
            for device in backend.devices()
        ]
        return {"reason": None, "devices": devices, "versions": dict(backend.versions())}
    except Exception as error:  # noqa: BLE001 -- an engine may fail in any way, and is shown
        return {"reason": f"{type(error).__name__}: {error}", "devices": [], "versions": {}}
