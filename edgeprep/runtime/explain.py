"""The choice as a table that a person reads."""

from collections.abc import Sequence

from edgeprep.runtime.candidates import Outcome

__all__ = ["explain", "format_table"]


def explain(outcomes: Sequence[Outcome], *, name: str, remembered: bool) -> str:
    """One line a candidate: the chosen one, then the others with the reason why not.

    Behind them, and not counted, the devices that are not here.
    """
    rows = [_row(outcome) for outcome in outcomes]
    head = ("verdict", "variant", "backend", "device", "options", "median ms", "p90 ms", "reason")
    origin = "remembered" if remembered else "measured now"
    count = sum(bool(outcome.candidate.variant) for outcome in outcomes)
    return f"{name}: {count} candidates, {origin}\n{format_table(head, rows)}"


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


def _row(outcome: Outcome) -> tuple[str, ...]:
    candidate, timing = outcome.candidate, outcome.timing
    return (
        outcome.verdict,
        candidate.variant,
        candidate.backend,
        candidate.device,
        " ".join(f"{key}={value}" for key, value in candidate.options.items()),
        _ms(timing.median_ms) if timing else "",
        _ms(timing.p90_ms) if timing else "",
        outcome.reason,
    )


def _ms(time: float) -> str:
    # By way of what is remembered, so that it reads the same when it is.
    return f"{round(time, 4):.3f}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()
