"""Figures with the limits that they are held to, and how they are printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

from edgeprep.runtime.machine import describe_machine

__all__ = ["Figure", "Report", "describe", "environment"]

LIBRARIES = (
    "edgeprep",
    "numpy",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "torch",
    "nncf",
    "ai-edge-quantizer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number and its limit."""

    name: str
    value: float
    limit: float
    unit: str = ""
    rule: Literal["at most", "at least"] = "at most"

    @property
    def met(self) -> bool:
        """Whether the number keeps to its limit."""
        return self.value <= self.limit if self.rule == "at most" else self.value >= self.limit

    def __str__(self) -> str:
        verdict = "ok    " if self.met else "MISSED"
        value, limit = f"{self.value:.4g} {self.unit}", f"{self.limit:g} {self.unit}"
        return f"{verdict}  {self.name:<58} {value:>12}  ({self.rule} {limit.strip()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one script found: figures, and the numbers behind them."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As `tools/bench --json` prints it."""
        figures = [
            {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "rule": figure.rule,
                "limit": figure.limit,
                "met": figure.met,
            }
            for figure in self.figures
        ]
        return {
            "title": self.title,
            "figures": figures,
            "notes": list(self.notes),
            "details": dict(self.details),
        }

    def table(self) -> str:
        """Name, ours, target and verdict of each figure, in columns."""
        head = f"  {'':<58} {'ours':>14} {'target':>20}"
        rows = [
            f"  {figure.name:<58} {f'{figure.value:.4g} {figure.unit}'.strip():>14} "
            f"{f'{figure.rule} {figure.limit:g}':>20}  {'met' if figure.met else 'NOT MET'}"
            for figure in self.figures
        ]
        return "\n".join([self.title, head, *rows, *(f"  {note}" for note in self.notes)])

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in (*self.figures, *self.notes))])


def environment(*more: str) -> dict[str, dict[str, str]]:
    """This machine and the versions of the libraries that were measured, `more` among them."""
    return {
        "machine": describe_machine(),
        "libraries": {name: version(name) for name in (*LIBRARIES, *more)},
    }


def describe(found: Mapping[str, Mapping[str, str]]) -> str:
    """`environment()` for people."""
    return "\n".join(
        f"{title}: {', '.join(f'{name} {value}' for name, value in facts.items())}"
        for title, facts in found.items()
    )
