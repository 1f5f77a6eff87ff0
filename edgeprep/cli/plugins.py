"""`edgeprep plugins`: what is installed, and what is broken and why."""

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.output import emit, format_option
from edgeprep.registry import default_registry
from edgeprep.runtime.explain import format_table

__all__ = ["command"]


@click.command(name="plugins", cls=Command)
@verbose_option
@format_option
def command(form: str) -> None:
    """Show every plugin: what it offers, or why it was left out."""
    records = default_registry().plugins()
    documents = [
        {
            "name": record.name,
            "distribution": record.distribution,
            "version": record.version,
            "state": record.state,
            "provides": {kind: list(names) for kind, names in record.provides.items()},
            "reason": record.reason,
        }
        for record in records
    ]
    head = ("plugin", "distribution", "version", "state", "provides", "reason")
    rows = [
        (
            record.name,
            record.distribution or "",
            record.version or "",
            record.state,
            "; ".join(f"{kind}: {' '.join(names)}" for kind, names in record.provides.items()),
            record.reason or "",
        )
        for record in records
    ]
    emit(format_table(head, rows), {"plugins": documents}, form)
