"""What the golden samples of one zoo model notice, variant by variant."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bundles import RECIPES, bundle
from benchmarks.figures import Figure, Report
from benchmarks.mutations.catch import Mutation, calibration_of, mutate
from edgeprep.bundle import open_bundle

__all__ = ["CAUGHT", "measure", "share_caught"]

CAUGHT = 0.95
# All that the recipes of single pictures have. A clip is some twenty runs.
_PICTURES, _CLIPS = 256, 48


def measure(model: str, bundles: str | None, *, count: int) -> Report:
    """`count` mutations of every variant.

    Args:
        model: of the zoo.
        bundles: where `MODEL.edgeprep` lies; None: it is made.
        count: of mutations.
    """
    path = Path(bundles) / f"{model}.edgeprep" if bundles else bundle(model)
    opened = open_bundle(path)
    limit = _CLIPS if opened.manifest.variants[0].states else _PICTURES
    pictures = calibration_of(RECIPES[model], limit)
    engines: dict[str, list[Mutation]] = {}
    notes, details = [], {}
    for variant in opened.manifest.variants:
        found = list(mutate(opened, variant, pictures, count=count))
        engines.setdefault(variant.format, []).extend(found)
        missed = [one for one in found if one.changed and not one.caught]
        notes.append(_describe(variant.name, found, missed, len(pictures)))
        details[variant.name] = {
            "mutations": len(found),
            "changing": sum(one.changed > 0 for one in found),
            "missed": [(one.damage, one.weight, one.changed, one.error) for one in missed],
            "allowed": found[0].allowed,
        }
    figures = [
        Figure(
            name=f"{name}: of {sum(one.changed > 0 for one in found)} that change answers, caught",
            value=share_caught(found),
            limit=CAUGHT,
            rule="at least",
        )
        for name, found in engines.items()
    ]
    return Report(
        title=f"golden: {model}, {count} mutations of each variant, {len(pictures)} pictures",
        figures=tuple(figures),
        notes=tuple(notes),
        details=details,
    )


def share_caught(found: Sequence[Mutation]) -> float:
    """Of those that change answers, the share that is caught; 0 where there are none to show it."""
    changing = [one for one in found if one.changed]
    return sum(one.caught for one in changing) / len(changing) if changing else 0.0


def _describe(
    name: str, found: Sequence[Mutation], missed: Sequence[Mutation], pictures: int
) -> str:
    changing = [one for one in found if one.changed]
    caught = sum(one.caught for one in found if not one.changed)
    worst = max((one.changed for one in missed), default=0)
    of_missed = f"; missed ones turn {worst} of {pictures} answers at most" if missed else ""
    return (
        f"{name}: allowed error {found[0].allowed:.2g}; {len(changing) - len(missed)} of "
        f"{len(changing)} that change answers are caught, and {caught} of "
        f"{len(found) - len(changing)} others{of_missed}"
    )
