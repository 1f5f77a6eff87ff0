"""The table, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.figures import describe

from architectures.networks import Network

__all__ = ["markdown", "summary"]

Found = Mapping[str, Mapping[str, Any]]
_HEAD = """\
# Published architectures

<!-- Written by tools/coverage. -->

Networks of transformers with random weights, as tools/architectures/networks.py lists them, by the
road that a user takes: a recipe with `factory = "transformers:…"`, a `config.json` and a
`model.safetensors`.
"""
_NOTES = """\
Each cell: the largest error over the largest output, of four pictures, against torch; MB; the
median ms of one picture in the format's engine, with its most exact options. Other work may have
been under way: times are to be compared by order of magnitude. In float an error of 1e-4 is
allowed, in int8 one of 0.5 at worst and of 0.3 in the middle; what int8 costs here is not what it
costs trained weights. Depth is reduced where "of" is said, as more blocks of a kind show nothing
new; all have 10 classes."""


def summary(rows: Sequence[tuple[Network, Found]], formats: Sequence[str]) -> str:
    """One line: how many are in all formats."""
    counts = {
        precision: sum(
            all(_is_made(found, target, precision) for target in formats) for _, found in rows
        )
        for precision in ("fp32", "int8")
    }
    every = "all three formats" if len(formats) == 3 else " and ".join(formats)
    return (
        f"{counts['fp32']} of {len(rows)} networks are in {every} in float, "
        f"{counts['int8']} in int8"
    )


def markdown(
    rows: Sequence[tuple[Network, Found]],
    facts: Mapping[str, Mapping[str, str]],
    formats: Sequence[str],
) -> str:
    """The whole file; what is not known in every format is only named."""
    unknown = [network.name for network, found in rows if found.keys() < {*formats}]
    rows = [(network, found) for network, found in rows if found.keys() >= {*formats}]
    columns = [f"{target} {precision}" for target in formats for precision in ("float", "int8")]
    lines = [
        "| " + " | ".join(["network", "task", "input", "of", "million weights", *columns]) + " |",
        "|" + "---|" * 4 + "---:|" + "---|" * len(columns),
        *(_row(network, found, formats) for network, found in rows),
    ]
    machine = "\n".join(f"- {line}" for line in describe(facts).splitlines())
    parts = [_HEAD, f"**{summary(rows, formats)}.**", "\n".join(lines), _NOTES]
    if unknown:
        parts.append(f"Listed there and not converted here: {', '.join(unknown)}.")
    if failures := _failures(rows, formats):
        parts += ["## What failed", "\n".join(failures)]
    return "\n\n".join([*(part.strip() for part in parts), machine])


def _is_made(found: Found, target: str, precision: str) -> bool:
    return "parity" in found.get(target, {}).get(precision, {})


def _row(network: Network, found: Found, formats: Sequence[str]) -> str:
    size = "×".join(map(str, network.size))
    taken = f"{network.frames} × {size}" if network.frames > 1 else size
    counts = [cell["parameters"] for cell in found.values() if "parameters" in cell]
    count = f"{counts[0] / 1e6:.1f}" if counts else ""
    cells = [
        _cell(found.get(target, {}).get(precision))
        for target in formats
        for precision in ("fp32", "int8")
    ]
    return "| " + " | ".join([network.name, network.use, taken, network.of, count, *cells]) + " |"


def _cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    if "parity" not in one:
        return f"**{one['stage']}** {one['operator']}".strip()
    return f"{one['parity']:.0e}, {one['size_mb']:.1f} MB, {one['latency_ms']:.3g} ms"


def _failures(rows: Sequence[tuple[Network, Found]], formats: Sequence[str]) -> list[str]:
    return [
        f"- {network.name}, {target}, {'float' if precision == 'fp32' else precision}: "
        f"{one['stage']}{_named(one['operator'])}: {one['reason']:.600}"
        + (f" (tried: {one['road']})" if one["road"] else "")
        for network, found in rows
        for target in formats
        for precision, one in found.get(target, {}).items()
        if isinstance(one, Mapping) and "parity" not in one
    ]


def _named(operator: str) -> str:
    return f", `{operator}`" if operator else ""
