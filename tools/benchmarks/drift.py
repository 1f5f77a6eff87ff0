"""How often drift is told of pictures that are as they were, and how soon of those that are not."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.figures import Figure, Report
from edgeprep.data import load_module
from edgeprep.monitor.drift import ANSWERS, Drift, watched
from edgeprep.monitor.reference import make_reference

__all__ = ["measure"]

Picture = NDArray[np.uint8]
Sample = tuple[Picture, int]

ZOO = Path(__file__).resolve().parents[2] / "model_zoo"
SIDE = 96
CALIBRATION, HELD_OUT = 256, 1000
RUNS, LOOKS = 100, 1000  # of pictures that are as they were
# Each scene stays for so many looks, as before a camera that stands: more than twice as many as
# answers are counted before they are compared.
SCENES, STILL = 300, 600
TRIALS, PATIENCE = 50, 64  # of each fault
CLASSES_TRIALS, CLASSES_PATIENCE = 10, 3 * ANSWERS  # of half of all classes alone
# Bounds leave out 2 % of what was there at calibration, and more than that is between pictures.
MOST_ALARMS, MOST_SCENES = 1.0, 2.0
MOST_UNTOLD = 4.0  # in percent of trials
# What calibration itself has some of is no fault later, so that nothing is promised: it is a note.
AT_CALIBRATION = {"digits": (), "photographs": ("dark", "flat", "unsharp")}
NOISE = 2.0  # of a camera, in levels


def measure() -> Report:
    """On two sets of real pictures, of which calibration and field share no photograph."""
    figures: list[Figure] = []
    notes: list[str] = []
    details: dict[str, Any] = {}
    for name, pair in (("digits", digits()), ("photographs", photographs())):
        found = of_one(*pair)
        details[name] = found
        mixed, still = found["mixed"], found["still"]
        rate = 1e5 * sum(mixed.values()) / (RUNS * LOOKS)
        figures += (
            Figure(
                name=f"{name}: false alarms in 100 000 looks at mixed pictures",
                value=rate,
                limit=MOST_ALARMS,
            ),
            Figure(
                name=f"{name}: still scenes that are told, by {STILL} looks",
                value=100 * still["scenes"] / SCENES,
                limit=MOST_SCENES,
                unit="%",
            ),
            Figure(
                name=f"{name}: still scenes whose classes are told",
                value=100 * still.get("classes", 0) / SCENES,
                limit=0,
                unit="%",
            ),
        )
        told = ", ".join(f"{fault} {n}" for fault, n in still.items() if fault != "scenes")
        notes.append(f"{name}: of {SCENES} still scenes are told: {told or 'none'}")
        for fault, (seen, looks, trials) in found["faults"].items():
            after = f", after {looks:g} looks in the median" if seen else ""
            notes.append(f"{name}: {fault}: told in {seen:.0%} of {trials} trials{after}")
            if fault in found["watched"] and fault not in AT_CALIBRATION[name]:
                figures.append(
                    Figure(
                        name=f"{name}: trials of {fault} that are not told of",
                        value=100 * (1 - seen),
                        limit=MOST_UNTOLD,
                        unit="%",
                    )
                )
    title = f"drift: real pictures, {CALIBRATION} at calibration; one look is 32 pictures"
    return Report(title=title, figures=tuple(figures), notes=tuple(notes), details=details)


def of_one(calibration: list[Sample], field: list[Sample]) -> dict[str, Any]:
    """What one set comes to."""
    rng = np.random.default_rng(0)
    classes = np.bincount([label for _, label in calibration]).tolist()
    pictures = [picture for picture, _ in calibration]
    reference = make_reference(pictures, "rgb", placement="split", classes=classes)
    assert reference is not None  # noqa: S101 -- there are more than enough

    def alarms(samples: Iterable[Sample]) -> tuple[str, ...]:
        drift = Drift(reference, "rgb")
        changes = [each for picture, label in samples for each in drift.look(picture, (label,))]
        return tuple(change.fault for change in changes if change.there)

    mixed = [alarms(field[at] for at in rng.integers(0, len(field), LOOKS)) for _ in range(RUNS)]
    still = [
        alarms((noisy(picture, rng), label) for _ in range(STILL))
        for picture, label in (field[at] for at in rng.integers(0, len(field), SCENES))
    ]
    faults: dict[str, tuple[float, float | None, int]] = {}
    for fault, spoil in FAULTS.items():
        delays = [delay(Drift(reference, "rgb"), fault, spoil, field, rng) for _ in range(TRIALS)]
        seen = [each for each in delays if each is not None]
        faults[fault] = (len(seen) / TRIALS, median(seen) if seen else None, TRIALS)
    if len(classes) > 1:
        half = [sample for sample in field if sample[1] < len(classes) // 2]
        found = [moved(Drift(reference, "rgb"), half, rng) for _ in range(CLASSES_TRIALS)]
        seen = [each for each in found if each is not None]
        faults["classes"] = (
            len(seen) / CLASSES_TRIALS,
            median(seen) if seen else None,
            CLASSES_TRIALS,
        )
    told = {
        kind: dict(Counter(sum(runs, ()))) for kind, runs in (("mixed", mixed), ("still", still))
    }
    return {
        "mixed": told["mixed"],
        "still": {"scenes": sum(map(bool, still)), **told["still"]},
        "faults": faults,
        "watched": watched(reference),
    }


def delay(
    drift: Drift,
    fault: str,
    spoil: Callable[[Picture, np.random.Generator], Picture],
    field: list[Sample],
    rng: np.random.Generator,
) -> int | None:
    """After how many looks at spoilt pictures it is told; None: not in time."""
    frozen = field[rng.integers(0, len(field))][0]
    for look in range(1, PATIENCE + 1):
        picture = frozen if fault == "frozen" else field[rng.integers(0, len(field))][0]
        if any(each.fault == fault and each.there for each in drift.look(spoil(picture, rng))):
            return look
    return None


def moved(drift: Drift, field: list[Sample], rng: np.random.Generator) -> int | None:
    """After how many looks it is told that the classes of `field` are others; None: not in time."""
    for look in range(1, CLASSES_PATIENCE + 1):
        picture, label = field[rng.integers(0, len(field))]
        if any(each.fault == "classes" and each.there for each in drift.look(picture, (label,))):
            return look
    return None


def noisy(picture: Picture, rng: np.random.Generator, sigma: float = NOISE) -> Picture:
    """The picture as a camera gives it another time."""
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(sigma)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def blurred(picture: Picture, rng: np.random.Generator) -> Picture:
    """Out of focus by 3 pixels of what the network sees."""
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3)))
    return noisy(soft, rng, 1.0)


FAULTS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "black": lambda picture, rng: noisy(np.zeros_like(picture), rng),
    "dark": lambda picture, rng: noisy((picture // 8).astype(np.uint8), rng),
    "overexposed": lambda picture, rng: np.clip(picture * 3.0 + 60, 0, 255).astype(np.uint8),
    "flat": lambda picture, rng: noisy((picture // 32 + 120).astype(np.uint8), rng),
    "unsharp": blurred,
    "noisy": lambda picture, rng: noisy(picture, rng, 60.0),
    "swapped": lambda picture, rng: picture[:, :, ::-1],
    "frozen": lambda picture, rng: picture,
}


def digits() -> tuple[list[Sample], list[Sample]]:
    """Handwritten digits on photographs, as the zoo's classifiers take them."""
    module: Any = load_module("data", ZOO / "digits-mobilenet", "data")
    return (
        [(resized(picture), label) for picture, label in module.calibration()],
        [(resized(picture), label) for picture, label in module.evaluation()],
    )


def photographs() -> tuple[list[Sample], list[Sample]]:
    """Pieces of 13 photographs at calibration, and of 4 others later: all of one class."""
    module: Any = load_module("data", ZOO / "photo-denoiser", "data")

    def pieces(part: str, seed: int, count: int) -> list[Sample]:
        return [(clean, 0) for _, clean in module.pictures(part, seed=seed, count=count)]

    return pieces("training", 1, CALIBRATION), pieces("held-out", 2, HELD_OUT)


def resized(picture: Picture) -> Picture:
    """As large as the network takes it."""
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE)))
