"""`edgeprep inspect`: what is in a bundle."""

from collections.abc import Mapping

import click
import msgspec

from edgeprep.bundle import Bundle, SourceRecord, Variant, open_bundle
from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import bundle_argument
from edgeprep.cli.output import emit, format_option
from edgeprep.runtime.explain import format_table

__all__ = ["command"]


@click.command(name="inspect", cls=Command)
@bundle_argument
@verbose_option
@format_option
def command(bundle: str, form: str) -> None:
    """Show what is in BUNDLE, after every byte of it has been verified."""
    opened = open_bundle(bundle)
    document = {
        "bundle": opened.path,
        "digest": opened.digest,
        "size_bytes": opened.size_bytes,
        "manifest": msgspec.to_builtins(opened.manifest),
    }
    emit(_describe(opened), document, form)


def _describe(bundle: Bundle) -> str:
    manifest = bundle.manifest
    size = (manifest.input.height, manifest.input.width)
    rows = [
        ("name", manifest.name),
        ("digest", bundle.digest),
        ("size", f"{bundle.size_bytes} bytes, {len(manifest.members)} members"),
        ("task", _spell(manifest.task)),
        ("input", f"{manifest.input.color} {'any size' if None in size else size}"),
        *(("preprocess", _spell(stage)) for stage in manifest.chain),
        ("source", _score(manifest.source)),
        ("budget", _budget(manifest.max_drop)),
        ("made with", " ".join(f"{k} {v}" for k, v in manifest.created_with.items())),
    ]
    head = ("variant", "format", "precision", "placement", "bytes", "parity", "metric", "drop")
    variants = format_table(head, [_row(variant) for variant in manifest.variants])
    facts = "\n".join(f"{name:<11}{value}" for name, value in rows)
    return f"{facts}\n\n{variants}"


def _score(source: SourceRecord) -> str:
    if source.value is None:
        return "not scored: there were no labelled samples"
    return f"{source.metric} {source.value:.4f} on {source.samples} samples"


def _budget(max_drop: float | None) -> str:
    return "none" if max_drop is None else f"drops of at most {max_drop}"


def _row(variant: Variant) -> tuple[str, ...]:
    metric = variant.metric
    return (
        variant.name,
        variant.format,
        variant.precision,
        variant.placement,
        str(variant.size_bytes),
        f"{variant.parity.relative:.1e}",
        f"{metric.name} {metric.value:.4f}" if metric else "",
        f"{metric.drop:z.4f}" if metric else "",
    )


def _spell(table: Mapping[str, object]) -> str:
    options = " ".join(f"{key}={value}" for key, value in table.items() if key != "use")
    return f"{table['use']} {options}".strip()
