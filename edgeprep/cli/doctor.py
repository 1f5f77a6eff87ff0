"""`edgeprep doctor`: this machine, its engines and their devices."""

from typing import Any

import click

import edgeprep
from edgeprep.cli.output import emit, format_option
from edgeprep.registry import default_registry
from edgeprep.runtime import describe_backends, describe_machine, format_table

__all__ = ["command"]


@click.command(name="doctor")
@format_option
def command(form: str) -> None:
    """Show this machine, its engines and their devices; exit 1 if no engine works."""
    machine = describe_machine()
    backends = describe_backends(default_registry())
    document = {"edgeprep": edgeprep.__version__, "machine": machine, "backends": backends}
    facts = "\n".join(f"{key:<10} {value}" for key, value in machine.items())
    table = format_table(
        ("backend", "formats", "state", "devices", "versions"), [_row(entry) for entry in backends]
    )
    emit(f"{'edgeprep':<10} {edgeprep.__version__}\n{facts}\n\n{table}", document, form)
    if not any(entry["devices"] for entry in backends):
        raise click.exceptions.Exit(1)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["name"],
        " ".join(entry["formats"]),
        entry["reason"] or "ok",
        " ".join(device["name"] for device in entry["devices"]),
        " ".join(f"{name}={version}" for name, version in entry["versions"].items()),
    )
