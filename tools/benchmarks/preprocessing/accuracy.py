"""The accuracy table: every engine against float64, against each other and against libraries."""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.figures import Figure, Report
from benchmarks.preprocessing.agreement import agreement
from benchmarks.preprocessing.families import FLOAT, WHOLE
from benchmarks.preprocessing.graphs import (
    ENGINES,
    Workshop,
    has_precision,
    prepare_on,
    workshop,
)
from benchmarks.preprocessing.pictures import SIZES, noise, photo
from benchmarks.preprocessing.reference import METHODS, reference
from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

__all__ = ["measure"]

LIMITS = {"bilinear": 0.1, "antialiased": 0.01, "area": 0.01}
LIMIT_FLOAT, LIMIT_REDUCED = 0.001, 0.55
LIMIT_PILLOW, LIMIT_PILLOW_MEAN = 1.0, 0.3
LIMIT_LINEAR, LIMIT_AREA = 0.85, 0.51
# It takes LiteRT's converter seconds to write a file.
FEW = SIZES[:3]
# CLAHE's tiles need a height and a width that eight divides; nothing else does.
AT = (64, 96)
# What 1 is in levels after `normalize`, in the channel where it is most.
DEVIATION = 0.229 * 255


def measure() -> Report:
    """Worst differences, in levels of 0 to 255."""
    with workshop() as bench:
        figures = [
            *resizes(bench),
            *families(bench),
            *libraries(),
            *reduced(bench),
            *agreement(bench),
        ]
    reduced_here = () if has_precision("bf16") else ("this CPU has no bfloat16",)
    return Report(
        title="accuracy, in levels of 0 to 255 unless a figure says otherwise",
        figures=tuple(figures),
        notes=(f"{len(SIZES)} sizes, noise and photographs; LiteRT: {len(FEW)}", *reduced_here),
    )


def resizes(bench: Workshop) -> Iterator[Figure]:
    for method, options in METHODS.items():
        for engine in ENGINES:
            worst = 0.0
            for before, after in FEW if engine == "litert" else SIZES:
                run = prepare_on(engine, resize_chain(before, after, options), bench)
                for picture in (noise(*before), photo(*before)):
                    expected = reference(method, picture, *after)
                    worst = max(worst, float(np.abs(run(picture[None])[0] - expected).max()))
            yield Figure(name=f"{method}: {engine}, float64", value=worst, limit=LIMITS[method])


def families(bench: Workshop) -> Iterator[Figure]:
    """Each stage in every engine against numpy."""
    for title, stages, limit in (
        ("conv and point stages", FLOAT, LIMIT_FLOAT),
        ("stages in whole levels, differing values", WHOLE, 0.0),
    ):
        for engine in ENGINES[1:]:
            found = {name: differ(stage, engine, bench) for name, stage in stages.items()}
            name, (largest, count) = max(found.items(), key=lambda item: item[1])
            value = count if stages is WHOLE else largest
            where = f"{title}: {engine}, numpy" + (f" ({name})" if value else "")
            yield Figure(name=where, value=value, limit=limit)


def differ(stage: Stage, engine: str, bench: Workshop) -> tuple[float, int]:
    """The largest difference, and how many values differ at all."""
    image = ImageSpec(height=AT[0], width=AT[1])
    chain = Chain(input=image, stages=(DType(), stage))
    exact, run = (prepare_on(each, chain, bench) for each in ("numpy", engine))
    levels = DEVIATION if stage.name == "normalize" else 1.0
    largest, count = 0.0, 0
    for picture in (noise(*AT), photo(*AT)):
        difference = np.abs(run(picture[None]) - exact(picture[None])) * levels
        largest = max(largest, float(difference.max()))
        count += int(np.count_nonzero(difference))
    return largest, count


def libraries() -> Iterator[Figure]:
    """The definition, in numpy, against uint8 results of libraries."""
    antialiased = list(deviations("antialiased", by_pillow))
    largest, means = zip(*antialiased, strict=True)
    name = "antialiased: Pillow's uint8, numpy"
    yield Figure(name=name, value=max(largest), limit=LIMIT_PILLOW)
    yield Figure(name=f"{name}, worst mean", value=max(means), limit=LIMIT_PILLOW_MEAN)
    for method, mode, limit in (
        ("bilinear", cv2.INTER_LINEAR, LIMIT_LINEAR),
        ("area", cv2.INTER_AREA, LIMIT_AREA),
    ):
        found = max(largest for largest, _ in deviations(method, by_opencv(mode)))
        yield Figure(name=f"{method}: OpenCV's uint8, numpy", value=found, limit=limit)


def deviations(
    method: str, library: Callable[..., NDArray[np.uint8]]
) -> Iterator[tuple[float, float]]:
    """The largest and the mean difference, picture by picture."""
    for before, after in SIZES:
        if method == "area" and (after[0] > before[0] or after[1] > before[1]):
            continue  # OpenCV's INTER_AREA enlarges by something else
        chain = resize_chain(before, after, METHODS[method])
        ours = prepare_on("numpy", chain, None)  # type: ignore[arg-type]
        for picture in (noise(*before), photo(*before)):
            difference = np.abs(ours(picture[None])[0] - library(picture, *after))
            yield float(difference.max()), float(difference.mean())


def by_pillow(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def by_opencv(mode: int) -> Callable[..., NDArray[Any]]:
    return lambda picture, height, width: cv2.resize(picture, (width, height), interpolation=mode)


def reduced(bench: Workshop) -> Iterator[Figure]:
    """What OpenVINO's own choice of arithmetic does to pictures."""
    if not has_precision("bf16"):
        return
    for method, options in METHODS.items():
        worst = 0.0
        for before, after in FEW:
            chain = resize_chain(before, after, options)
            run = prepare_on("openvino", chain, bench, "bf16")
            for picture in (noise(*before), photo(*before)):
                difference = run(picture[None])[0] - reference(method, picture, *after)
                worst = max(worst, float(np.abs(difference).max()))
        yield Figure(name=f"{method}: openvino in bf16, float64", value=worst, limit=LIMIT_REDUCED)


def resize_chain(before: tuple[int, int], after: tuple[int, int], options: dict[str, Any]) -> Chain:
    image = ImageSpec(height=before[0], width=before[1])
    return Chain(input=image, stages=(Resize(size=after, **options), DType()))
