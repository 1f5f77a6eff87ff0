"""Whether all engines find the same objects: digits-detector in float, picture by picture."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

import edgeprep
from benchmarks.bundles import RECIPES, bundle
from benchmarks.figures import Figure, Report
from edgeprep.bundle import open_bundle
from edgeprep.data import load_factory
from edgeprep.tasks.detect import Detection, Detections

__all__ = ["distances", "measure"]

MODEL, PICTURES = "digits-detector", 100
# Scores are equal that are no further apart than this: what rounding does to them is less.
SAME_SCORE = 0.01
LIMIT_PIXELS = 0.5


def measure() -> Report:
    """The objects that one engine finds against those of each other one."""
    evaluation: Any = load_factory("data:evaluation", RECIPES[MODEL].parent, "data.evaluation")
    pictures = [picture for picture, _ in islice(evaluation(), PICTURES)]
    path = bundle(MODEL)
    variants = [one.name for one in open_bundle(path).manifest.variants if one.precision == "fp32"]
    found = {name: results(path, name, pictures) for name in variants}
    first, *others = variants
    figures, notes = [], []
    for name in others:
        apart = [
            distance
            for one, other in zip(found[first], found[name], strict=True)
            for distance in distances(one, other)
        ]
        title = f"{name} against {first}: farthest side of a box"
        figures.append(Figure(name=title, value=max(apart), limit=LIMIT_PIXELS, unit="pixels"))
        notes.append(f"{name}: {len(apart)} boxes in {PICTURES} pictures")
    return Report(
        title=f"boxes of {MODEL} in float, engine by engine, at equal scores",
        figures=tuple(figures),
        notes=tuple(notes),
    )


def results(path: Any, variant: str, pictures: Sequence[Any]) -> list[Detections]:
    """What one variant finds in each of `pictures`."""
    with edgeprep.open(path, prefer=variant, probe=False) as session:
        return [session(picture) for picture in pictures]


def distances(some: Sequence[Detection], others: Sequence[Detection]) -> list[float]:
    """How far the sides of each box are from those of the nearest one with that class and score.

    Infinity for one that the others do not have; both ways, so that nothing is left out.
    """
    return [
        min((apart(one, other) for other in there if alike(one, other)), default=float("inf"))
        for here, there in ((some, others), (others, some))
        for one in here
    ]


def alike(one: Detection, other: Detection) -> bool:
    """Whether both have one class and one score."""
    return one.index == other.index and abs(one.score - other.score) <= SAME_SCORE


def apart(one: Detection, other: Detection) -> float:
    """How far the two sides are apart that are farthest, in pixels."""
    return float(np.abs(np.subtract(one.box, other.box)).max())
