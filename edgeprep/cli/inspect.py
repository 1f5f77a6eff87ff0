"""`edgeprep inspect`: what is in a bundle."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec
from msgspec.structs import astuple

from edgeprep.bundle import (
    Bundle,
    Contents,
    EnsembleBundle,
    EnsembleManifest,
    Manifest,
    SourceRecord,
    Spread,
    Variant,
    open_either,
)
from edgeprep.cli.command import Command, verbose_option
from edgeprep.cli.options import bundle_argument
from edgeprep.cli.output import emit, format_option
from edgeprep.monitor.drift import watched
from edgeprep.runtime.explain import format_table
from edgeprep.runtime.opened_ensemble import read_part

__all__ = ["command"]


@click.command(name="inspect", cls=Command)
@bundle_argument
@verbose_option
@format_option
def command(bundle: str, form: str) -> None:
    """Show what is in BUNDLE, after every byte of it has been verified."""
    opened = open_either(bundle)
    document: dict[str, Any] = {
        "bundle": opened.path,
        "digest": opened.digest,
        "size_bytes": opened.size_bytes,
        "manifest": msgspec.to_builtins(opened.manifest),
    }
    if isinstance(opened, EnsembleBundle):
        parts = [read_part(opened, index)[0] for index in range(len(opened.manifest.parts))]
        document["parts"] = [
            {"digest": part.digest, "manifest": msgspec.to_builtins(part.manifest)}
            for part in parts
        ]
        emit(_describe_ensemble(opened, parts), document, form)
    else:
        emit(_describe(opened), document, form)


def _describe_ensemble(bundle: EnsembleBundle, parts: Sequence[Bundle]) -> str:
    manifest = bundle.manifest
    learnt = sum(math.prod(each.array.shape) for each in manifest.learnt)
    rows = [
        *_common(bundle, manifest),
        ("combine", _spell(manifest.combine) + (f", {learnt} numbers learnt" if learnt else "")),
        ("score", _score(manifest.score)),
        ("made with", _made_with(manifest.created_with)),
    ]
    head = ("member", "weight", "prefer", "bytes", "variants", "metric", "source")
    table = [
        (
            part.name,
            "learnt" if learnt else f"{part.weight:g}",
            part.prefer,
            str(one.size_bytes),
            " ".join(variant.name for variant in one.manifest.variants),
            one.manifest.source.metric or "",
            "" if one.manifest.source.value is None else f"{one.manifest.source.value:.4f}",
        )
        for part, one in zip(manifest.parts, parts, strict=True)
    ]
    return f"{_facts(rows)}\n\n{format_table(head, table)}"


def _common(bundle: Contents, manifest: Manifest | EnsembleManifest) -> Iterator[tuple[str, str]]:
    """What bundles of both kinds say."""
    image = manifest.input
    size = "any size" if not image.is_fixed else image.size
    yield "name", manifest.name
    yield "digest", bundle.digest
    yield "size", f"{bundle.size_bytes} bytes, {len(manifest.members)} members"
    yield "task", _spell(manifest.task)
    clip = f", clips of {image.batch} frames" if image.batch > 1 else ""
    yield "input", f"{image.color} {size}{clip}"


def _describe(bundle: Bundle) -> str:
    manifest = bundle.manifest
    rows = [
        *_common(bundle, manifest),
        *(("preprocess", _spell(stage)) for stage in manifest.chain),
        *(("state", state) for state in _states(manifest.variants)),
        ("source", _score(manifest.source)),
        ("budget", _budget(manifest.max_drop)),
        ("made with", _made_with(manifest.created_with)),
        *(("drift", words) for words in _references(manifest)),
    ]
    head = ("variant", "format", "precision", "placement", "bytes", "parity", "metric", "drop")
    variants = format_table(head, [_row(variant) for variant in manifest.variants])
    return "\n\n".join([_facts(rows), variants, *_spreads(manifest)])


def _references(manifest: Manifest) -> Iterator[str]:
    """What is known of the pictures of each placement, and what a session tells by it."""
    if manifest.references is msgspec.UNSET:
        yield "no reference: pictures and answers are not watched"
        return
    for reference in manifest.references:
        classes = ""
        if reference.classes:
            classes = f" and {sum(reference.classes)} answers of {len(reference.classes)} classes"
        told = ", ".join(watched(reference))
        yield f"{reference.placement}: {reference.pictures} pictures{classes}; tells {told}"


def _spreads(manifest: Manifest) -> Iterator[str]:
    """A table of how each feature spreads, where that is known."""
    if manifest.references is msgspec.UNSET:
        return
    rows = [
        (feature, reference.placement, *(f"{number:.3f}" for number in astuple(spread)))
        for reference in manifest.references
        for feature, spread in reference.features.items()
    ]
    yield format_table(("feature", "placement", *Spread.__struct_fields__), rows)


def _states(variants: Sequence[Variant]) -> Iterator[str]:
    """What is remembered from picture to picture, and by which variants, where not by all."""
    for state in dict.fromkeys(state for variant in variants for state in variant.states):
        names = [variant.name for variant in variants if state in variant.states]
        whose = f" in {', '.join(names)}" if len(names) < len(variants) else ""
        yield f"{state.name} {state.dtype} {'×'.join(map(str, state.shape))}{whose}"


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<11}{value}" for name, value in rows)


def _made_with(versions: Mapping[str, str]) -> str:
    return " ".join(f"{name} {version}" for name, version in versions.items())


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
