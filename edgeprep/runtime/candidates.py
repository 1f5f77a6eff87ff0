"""Candidates: every way in which this machine could run a bundle, and what rules leave out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeprep.bundle import Variant
from edgeprep.errors import EdgePrepError
from edgeprep.interfaces import Backend, Device, Options
from edgeprep.registry import Registry, create
from edgeprep.runtime.timing import Timing

__all__ = ["Candidate", "Outcome", "Reachable", "Verdict", "construct", "list_candidates"]

Verdict = Literal["chosen", "slower", "unmeasured", "rejected", "excluded", "unavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One variant on one device of one backend, with options."""

    variant: str
    backend: str
    device: str = ""
    options: Options = field(default_factory=dict)

    def __str__(self) -> str:
        options = " ".join(f"{key}={value}" for key, value in self.options.items())
        return " ".join(part for part in (self.variant, self.backend, self.device, options) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a candidate, and why.

    Verdicts: `chosen`; `slower` than the chosen one; `unmeasured`, because no measurement was
    asked for; `rejected`, because it does not load or computes wrong numbers; `excluded` by a
    rule; `unavailable`, because a library is not installed.
    """

    candidate: Candidate
    verdict: Verdict
    reason: str
    timing: Timing | None = None
    error: float | None = None  # relative to the golden outputs

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep benchmark --format json` prints it; times in milliseconds."""
        return {
            "variant": self.candidate.variant,
            "backend": self.candidate.backend,
            "device": self.candidate.device,
            "options": dict(self.candidate.options),
            "verdict": self.verdict,
            "median_ms": self.timing and round(self.timing.median_ms, 4),
            "p90_ms": self.timing and round(self.timing.p90_ms, 4),
            "error": self.error,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachable:
    """A candidate that rules leave in, with what is needed to load it."""

    candidate: Candidate
    variant: Variant
    backend: Backend
    device: Device


def list_candidates(
    variants: Sequence[Variant],
    registry: Registry,
    prefer: str | None = None,
    *,
    backend: str | None = None,
) -> tuple[list[Reachable], list[Outcome]]:
    """What can be tried on this machine, and what cannot, with the reason.

    Args:
        variants: the bundle's variants.
        registry: where backends are looked up.
        prefer: keep only candidates with this variant, format, precision, backend, device or
            kind of device; the others are excluded.
        backend: construct no other backend, because importing an engine takes time.
    """
    reachable: list[Reachable] = []
    outcomes: list[Outcome] = []
    ready: dict[str, Backend | str] = {}
    for variant in variants:
        classes = [
            cls
            for cls in registry.classes("backend")
            if variant.format in cls.formats and backend in (None, cls.name)
        ]
        if not classes:
            wanted = " ".join(variant.requires)
            reason = f"no backend for format {variant.format!r}; pip install {wanted}"
            outcomes.append(_leave_out(variant, "", "unavailable", reason))
        for cls in classes:
            if cls.name not in ready:
                ready[cls.name] = construct(cls)
            engine = ready[cls.name]
            if isinstance(engine, str):
                outcomes.append(_leave_out(variant, cls.name, "unavailable", engine))
                continue
            for device in engine.devices():
                for options in engine.options(device, variant.precision):
                    candidate = Candidate(
                        variant=variant.name, backend=cls.name, device=device.name, options=options
                    )
                    if prefer is None or prefer.lower() in _handles(variant, cls.name, device):
                        reachable.append(
                            Reachable(
                                candidate=candidate, variant=variant, backend=engine, device=device
                            )
                        )
                    else:
                        reason = f"prefer={prefer!r}"
                        outcomes.append(
                            Outcome(candidate=candidate, verdict="excluded", reason=reason)
                        )
    return reachable, outcomes


def _handles(variant: Variant, backend: str, device: Device) -> set[str]:
    """The words by which a person can prefer a candidate."""
    words = (variant.name, variant.format, variant.precision, backend, device.name, device.kind)
    return {word.lower() for word in words}


def _leave_out(variant: Variant, backend: str, verdict: Verdict, reason: str) -> Outcome:
    return Outcome(
        candidate=Candidate(variant=variant.name, backend=backend), verdict=verdict, reason=reason
    )


def construct(cls: type[Backend]) -> Backend | str:
    """The backend, or the reason why there is none on this machine."""
    try:
        return create(cls)
    except EdgePrepError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 -- importing an engine can fail in any way
        return f"{type(error).__name__}: {error}"
