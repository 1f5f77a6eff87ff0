"""What a check of a network found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Killer", "Level", "quote"]

Killer = Literal[
    "joined-outputs",
    "huge-constant",
    "channel-weights",
    "channel-ranges",
    "activation-tail",
    "loose-batch-norm",
    "zero-weights",
    "constant-output",
]
# What int8 of this package does not bear, or that of some other engine alone.
Level = Literal["warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing in a network that int8 does not bear.

    Attributes:
        killer: its name.
        paths: the modules that it is in; "" is the network itself.
        measured: what was seen, with numbers.
        remedy: what to write otherwise, or to set.
        keep_float: what may be pasted into a recipe instead, in `[quantize]`; () where that is no
            help.
        level: a note is of what other engines alone do not bear.
    """

    killer: Killer
    paths: tuple[str, ...]
    measured: str
    remedy: str
    keep_float: tuple[str, ...] = ()
    level: Level = "warning"

    def __str__(self) -> str:
        return f"{_name(self.paths)}: {self.measured}; {self.remedy}{self._paste()}"

    def to_json(self) -> dict[str, object]:
        """As `edgeprep check --format json` prints it."""
        return {
            "killer": self.killer,
            "level": self.level,
            "paths": list(self.paths),
            "measured": self.measured,
            "remedy": self.remedy,
            "keep_float": list(self.keep_float),
        }

    def _paste(self) -> str:
        if not self.keep_float:
            return ""
        listed = ", ".join(f'"{path}"' for path in self.keep_float)
        return f"; or in the recipe, [quantize] keep_float = [{listed}]"


def quote(values: Sequence[float]) -> str:
    """Measured values for people: `0.98 and 639`."""
    return " and ".join(f"{value:.3g}" for value in values)


def _name(paths: Sequence[str]) -> str:
    named = ", ".join(repr(path) for path in paths[:3] if path)
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"model {named}{more}" if named else "model"
