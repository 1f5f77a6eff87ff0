"""`edgeprep doctor`: this machine, its engines and their devices."""

from typing import Any

import click

import edgeprep
from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.output import emit, format_option
from edgeprep.registry import default_registry
from edgeprep.runtime.engines import describe_backends
from edgeprep.runtime.explain import format_table
from edgeprep.runtime.machine import describe_machine

__all__ = ["command"]

_NONE = "no plugin with a backend is installed; pip install edgeprep-onnx[runtime], for example"


@click.command(name="doctor", cls=Command)
@verbose_option
@format_option
def command(form: str) -> None:
    """Show this machine, its engines and their devices; exit 1 if no engine works.

    Devices that an engine knows and cannot reach are shown with the reason.
    """
    machine = describe_machine()
    backends = describe_backends(default_registry())
    document = {"edgeprep": edgeprep.__version__, "machine": machine, "backends": backends}
    facts = "\n".join(f"{key:<10} {value}" for key, value in machine.items())
    table = format_table(("backend", "formats", "devices", "state"), [*map(_row, backends)])
    versions = format_table(
        ("backend", "version of", "is"),
        [(entry["name"], *item) for entry in backends for item in entry["versions"].items()],
    )
    tables = [table, versions]
    if absent := [
        (entry["name"], device["name"], device["reason"])
        for entry in backends
        for device in entry["absent"]
    ]:
        tables.append(format_table(("backend", "absent", "because"), absent))
    engines = "\n\n".join(tables) if backends else _NONE
    emit(f"{'edgeprep':<10} {edgeprep.__version__}\n{facts}\n\n{engines}", document, form)
    if not any(entry["devices"] for entry in backends):
        raise click.exceptions.Exit(1)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["name"],
        " ".join(entry["formats"]),
        " ".join(device["name"] for device in entry["devices"]),
        entry["reason"] or "ok",
    )
