"""In which order layers are put back into float, found once for a network and kept."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeprep.compress.sensitivity import Sensitivity
from edgeprep.files import atomic_write

__all__ = ["Ranking"]

# Noise of a tenth of the outputs: networks keep their answers there, and lose them below. Only
# where the search begins depends on it.
_CLEAN_DB = 20.0
_NAMED = 3  # so many layers are named; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The layers of a network in the order in which they are put back into float.

    Attributes:
        order: module paths; those first that are thought to be enough.
        enough: how many of them simulated int8 needs for a clean output.
    """

    order: tuple[str, ...] = ()
    enough: int = 1

    @classmethod
    def of(cls, found: Sensitivity) -> "Ranking":
        """By what each layer costs alone, and which ones together bring the signal back."""
        costs = [layer.path for layer in found.layers]
        needed = found.fewest(_CLEAN_DB) or ()
        return cls(order=tuple(dict.fromkeys((*needed, *costs))), enough=len(needed) or 1)

    @classmethod
    def read(cls, path: Path) -> "Ranking | None":
        """What `write` wrote to `path`; None where nothing is there that can be read."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, path: Path) -> None:
        """Keep it at `path`."""
        atomic_write(path, [msgspec.json.encode(self)], overwrite=True)

    def describe(self) -> str:
        """The head of the order, for people."""
        if not self.order:
            return "no layer can be kept in float"
        named = ", ".join(map(repr, self.order[:_NAMED]))
        return f"{len(self.order)} layers, first {named}"
