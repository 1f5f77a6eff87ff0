"""The choice as a table that a person reads."""

from collections.abc import Sequence

from edgeprep.runtime.candidates import Outcome

__all__ = ["explain", "format_table"]


def explain(outcomes: Sequence[Outcome], *, name: str, remembered: bool) -> str:
    """One line a candidate: the chosen one, then the others with the reason why not.

    Behind them, and not counted, the devices that are not here.
    """
    figure, goal = _figure(outcomes)
    figures = [*([figure] if figure else []), "median ms", "p90 ms"]
    head = ("verdict", "variant", "backend", "device", "options", *figures, "reason")
    rows = [_row(outcome, figure) for outcome in outcomes]
    origin = ("remembered" if remembered else "measured now") + goal
    count = sum(bool(outcome.candidate.variant) for outcome in outcomes)
    return f"{name}: {count} candidates, {origin}\n{format_table(head, rows)}"


def _figure(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """What was measured besides time, and what the choice is for then; "" for nothing."""
    if any(outcome.per_second for outcome in outcomes):
        return "per second", " for throughput, times are a picture's share"
    if any(outcome.memory_bytes is not None for outcome in outcomes):
        return "MiB", " for memory"
    return "", ""


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest entry, numbers to the right, two spaces between."""
    table = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    numeric = [
        all(_is_number(row[column]) for row in rows if row[column]) and bool(rows)
        for column in range(len(head))
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join(lines)


def _row(outcome: Outcome, figure: str) -> tuple[str, ...]:
    candidate, timing = outcome.candidate, outcome.timing
    figures: dict[str, list[str]] = {
        "": [],
        # By way of what is remembered, as times.
        "per second": [f"{round(outcome.per_second, 3):.1f}" if outcome.per_second else ""],
        "MiB": ["" if outcome.memory_bytes is None else f"{outcome.memory_bytes / 2**20:.1f}"],
    }
    return (
        outcome.verdict,
        candidate.variant,
        candidate.backend,
        candidate.device,
        " ".join(f"{key}={value}" for key, value in candidate.options.items()),
        *figures[figure],
        _ms(timing.median_ms) if timing else "",
        _ms(timing.p90_ms) if timing else "",
        outcome.reason,
    )


def _ms(time: float) -> str:
    # By way of what is remembered, so that it reads the same when it is.
    return f"{round(time, 4):.3f}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()
