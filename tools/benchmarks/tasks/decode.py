"""What it costs to find the objects in a detector's outputs: 8,400 candidates of 80 classes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, Report
from benchmarks.preprocessing.turns import in_turns
from edgeprep.geometry import Affine, Frame
from edgeprep.tasks.box_head import BoxColumns, ScoreColumns
from edgeprep.tasks.detect import Detect, Suppression
from edgeprep.tasks.priors import Priors

__all__ = ["HEADS", "measure", "scene"]

LIMIT_MS = 2.0
# Where data are scored, nothing else waits for it, and candidates that nobody asks for are kept.
SCORING_LIMIT_MS = 10.0
SEEN, CLASSES = (640, 640), 80
PRIORS = Priors(strides=(8, 16, 32))
# So many objects in the picture, each of which so many candidates see.
OBJECTS, EACH = 40, 15
LABELS = tuple(map(str, range(CLASSES)))
# A camera's picture of 720 × 1280, letterboxed.
FRAME = Frame(720, 1280, SEEN, (Affine.scaled(2.0, 2.0, 0.0, -280.0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A detector's outputs, and what they mean."""

    task: Detect
    outputs: tuple[NDArray[np.float32], ...]
    limit_ms: float = LIMIT_MS


def scene(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes `(candidates, 4)`, centres and sizes in pixels, and scores `(candidates, classes)`."""
    generator = np.random.default_rng(seed)
    cells = PRIORS.starts(*SEEN)
    scores = generator.uniform(0, 0.02, (len(cells), CLASSES)).astype(np.float32)
    boxes = np.concatenate((cells[:, :2], np.full((len(cells), 2), 40.0)), axis=1)
    boxes += generator.normal(0, 4, boxes.shape)
    for _ in range(OBJECTS):
        middle, sides = generator.uniform(60, 580, 2), generator.uniform(30, 200, 2)
        near = ((cells[:, :2] - middle) ** 2).sum(axis=1).argsort()[:EACH]
        found = np.concatenate((middle, sides)) + generator.normal(0, 4, (EACH, 4))
        boxes[near] = found
        scores[near, generator.integers(CLASSES)] = generator.uniform(0.2, 0.95, EACH)
    return boxes.astype(np.float32), scores


def heads() -> dict[str, Head]:
    """The same objects as several kinds of networks give them."""
    boxes, scores = scene()
    logits = np.log(scores.clip(1e-6) / (1 - scores).clip(1e-6))
    best = scores.max(axis=1).argsort()[-300:]
    cells = PRIORS.starts(*SEEN)
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    sides = np.concatenate((cells[:, :2] - low, high - cells[:, :2]), axis=1) / cells[:, 4:5]
    yolo = Head(
        task=Detect(
            labels=LABELS,
            boxes=BoxColumns(axis="second", form="center-size"),
            scores=ScoreColumns(output=0, first=4, axis="second", activation="none"),
        ),
        outputs=(np.ascontiguousarray(np.concatenate((boxes, scores), axis=1).T)[None],),
    )
    return {
        "YOLO, (1, 84, 8400)": yolo,
        "the same, suppressed softly": replace(
            yolo, task=replace(yolo.task, suppression=Suppression(kind="soft"))
        ),
        "the same as it is scored, all classes from 0.001": replace(
            yolo,
            task=replace(yolo.task, each="all").for_scoring(),
            outputs=(quiet(yolo.outputs[0]),),
            limit_ms=SCORING_LIMIT_MS,
        ),
        "maps of three grids, distances and logits apart": Head(
            task=Detect(
                labels=LABELS,
                boxes=BoxColumns(
                    output=(0, 1, 2),
                    axis="second",
                    form="distances",
                    unit="cells",
                    priors=PRIORS,
                ),
                scores=ScoreColumns(output=(3, 4, 5), axis="second"),
            ),
            outputs=(*maps(sides), *maps(logits)),
        ),
        "lists, (1, 8400, 4) and (1, 8400, 80) logits": Head(
            task=Detect(labels=LABELS, boxes=BoxColumns(form="center-size")),
            outputs=(boxes[None], logits[None]),
        ),
        "SSD, a softmax with a background, (1, 8400, 81)": Head(
            task=Detect(
                labels=LABELS,
                boxes=BoxColumns(form="center-size"),
                scores=ScoreColumns(activation="softmax", background="first"),
            ),
            outputs=(boxes[None], beside_background(scores)[None]),
        ),
        "DETR, 300 objects of a softmax, each found once": Head(
            task=Detect(
                labels=LABELS,
                boxes=BoxColumns(output=1, form="center-size"),
                scores=ScoreColumns(output=0, activation="softmax", background="last"),
                suppression=Suppression(kind="none"),
            ),
            outputs=(np.roll(beside_background(scores[best]), -1, axis=1)[None], boxes[best][None]),
        ),
    }


def quiet(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same objects, in a background as that of trained networks: few scores reach 0.001."""
    scores = output[:, 4:]
    background = np.random.default_rng(1).exponential(2e-4, scores.shape)
    seen = np.where(scores > 0.02, scores, background).astype(np.float32)
    return np.concatenate((output[:, :4], seen), axis=1)


def beside_background(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of a softmax with these probabilities, the background first and the rest of it."""
    scores = scores * np.minimum(1.0, 0.99 / scores.sum(axis=1, keepdims=True))
    rest = 1.0 - scores.sum(axis=1, keepdims=True)
    return np.log(np.concatenate((rest, scores.clip(1e-6)), axis=1)).astype(np.float32)


def maps(rows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The values of candidates as maps `(1, values, height, width)`, one for each grid."""
    grids, start = [], 0
    for stride in PRIORS.strides:
        height, width = (length // stride for length in SEEN)
        part = rows[start : start + height * width]
        grids.append(np.ascontiguousarray(part.T).reshape(1, -1, height, width))
        start += height * width
    return grids


HEADS = heads()


def measure() -> Report:
    """All heads in turns."""
    calls = {
        name: lambda head=head: head.task.decode(head.outputs, FRAME)  # type: ignore[misc]
        for name, head in HEADS.items()
    }
    found = {name: len(call()) for name, call in calls.items()}
    times = in_turns(calls)
    return Report(
        title=f"objects among 8,400 candidates of {CLASSES} classes, with suppression",
        figures=tuple(
            Figure(name=name, value=times[name], limit=head.limit_ms, unit="ms")
            for name, head in HEADS.items()
        ),
        notes=tuple(f"{name}: {count} objects" for name, count in found.items()),
        details={"decode_ms": times, "objects": found},
    )
