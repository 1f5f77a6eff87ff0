"""Noise, for those who ask for it by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from edgeprep.data.reader import Reader
from edgeprep.data.samples import Sample, Samples
from edgeprep.errors import DataError
from edgeprep.interfaces import Task

__all__ = ["Random"]

Side = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Random(Reader):
    """Uniform noise. INT8 ranges found with it are not those of pictures: for trying out only.

    Attributes:
        samples: how many pictures.
        size: height and width in pixels.
        seed: of the noise.
    """

    name: ClassVar[str] = "random"

    samples: Annotated[int, msgspec.Meta(ge=1)]
    size: tuple[Side, Side] = (224, 224)
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    def open(self, *, directory: Path, where: str, task: Task | None = None) -> Samples:
        """The pictures.

        Raises:
            DataError: labels are asked for.
        """
        if task is not None:
            raise DataError(f"{where}.use: must be data with labels, got {self.name!r}")
        description = f"random noise ({self.samples} pictures)"
        return Samples(self._read, where=where, description=description)

    def _read(self) -> Iterator[Sample]:
        generator = np.random.default_rng(self.seed)
        for _ in range(self.samples):
            yield generator.integers(0, 256, size=(*self.size, 3), dtype=np.uint8), None
