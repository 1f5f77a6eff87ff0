"""`edgeprep plugins`: what is installed, and what is broken and why."""

from collections.abc import Iterator
from shutil import get_terminal_size
from textwrap import wrap

import click

from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.output import emit, format_option
from edgeprep.registry import PluginRecord, default_registry
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
    head = ("plugin", "distribution", "version", "state")
    rows = [
        (record.name, record.distribution or "", record.version or "", record.state)
        for record in records
    ]
    first, *lines = format_table(head, rows).splitlines()
    text = [first]
    for line, record in zip(lines, records, strict=True):
        text += [line, *_details(record, get_terminal_size().columns)]
    emit("\n".join(text), {"plugins": documents}, form)


def _details(record: PluginRecord, width: int) -> Iterator[str]:
    """Below its line: the names that a plugin offers, a kind a paragraph, and what is wrong."""
    details: dict[str, str] = {kind: " ".join(names) for kind, names in record.provides.items()}
    if record.reason:
        details["reason"] = record.reason
    for title, text in details.items():
        # Names are not broken: whoever looks for one may use grep.
        yield from wrap(
            text,
            width,
            initial_indent=f"  {title:<10}",
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
