"""Candidates: every way in which this machine could run a bundle, and what rules leave out."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

from msgspec import Struct, field
from msgspec.structs import replace

from edgeprep.bundle import Variant
from edgeprep.errors import EdgePrepError
from edgeprep.interfaces import Backend, Device, DeviceKind, Options, Width
from edgeprep.registry import Registry, create
from edgeprep.runtime.timing import Timing

__all__ = [
    "Candidate",
    "Outcome",
    "Reachable",
    "Rules",
    "Verdict",
    "construct",
    "list_candidates",
    "narrowed",
]

Verdict = Literal["chosen", "slower", "larger", "unmeasured", "rejected", "excluded", "unavailable"]


class Candidate(Struct, frozen=True, kw_only=True):
    """One variant on one device of one backend, with options."""

    variant: str
    backend: str
    device: str = ""
    options: Options = field(default_factory=dict)

    def __str__(self) -> str:
        options = " ".join(f"{key}={value}" for key, value in self.options.items())
        return " ".join(part for part in (self.variant, self.backend, self.device, options) if part)


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a candidate, and why.

    Verdicts: `chosen`; `slower` than the chosen one, or `larger` in memory; `unmeasured`, because
    no measurement was asked for or it could not have won; `rejected`, because it does not load or
    computes wrong numbers; `excluded` by a rule; `unavailable`, because a library is not installed.
    """

    candidate: Candidate
    verdict: Verdict
    reason: str
    timing: Timing | None = None
    error: float | None = None  # relative to the golden outputs
    per_second: float | None = None  # pictures, where throughput was measured
    memory_bytes: int | None = None  # of a process, where memory was measured
    host: str = ""  # what prepares pictures, "numpy" or "opencv", where there was a choice
    kind: DeviceKind | None = None  # of the device, where there is one

    def to_json(self) -> dict[str, Any]:
        """As `edgeprep benchmark --format json` prints it; times in milliseconds.

        Where throughput was measured, they are a picture's share of what the engine computes.
        """
        return {
            "variant": self.candidate.variant,
            "backend": self.candidate.backend,
            "device": self.candidate.device,
            "kind": self.kind,
            "options": dict(self.candidate.options),
            "verdict": self.verdict,
            "median_ms": self.timing and round(self.timing.median_ms, 4),
            "p90_ms": self.timing and round(self.timing.p90_ms, 4),
            "per_second": self.per_second and round(self.per_second, 3),
            "memory_bytes": self.memory_bytes,
            "error": self.error,
            "host": self.host,
            "reason": self.reason,
        }


class Reachable(Struct, frozen=True, kw_only=True):
    """A candidate that rules leave in, with what is needed to load it."""

    candidate: Candidate
    variant: Variant
    backend: Backend
    device: Device

    def outcome(self, verdict: Verdict, reason: str, **found: Any) -> Outcome:
        """What became of it, with what was measured, such as its `error`."""
        kind = self.device.kind
        return Outcome(candidate=self.candidate, verdict=verdict, reason=reason, kind=kind, **found)


class Rules(Struct, frozen=True, kw_only=True):
    """What leaves a candidate out before it is tried.

    Attributes:
        prefer: keep only candidates of this variant, format, precision, backend, device or kind of
            device.
        max_drop: what a reduced precision hint may lose: the bundle's budget; nothing without one.
        only: keep this candidate alone, whatever other rules say; construct no other backend.
    """

    prefer: str | None = None
    max_drop: float = 0.0
    only: Candidate | None = None

    def admits(self, variant: Variant, backend: str) -> bool:
        """Whether a backend is worth constructing for `variant`."""
        return self.only is None or (variant.name, backend) == (
            self.only.variant,
            self.only.backend,
        )

    def asks_for(self, *words: str) -> bool:
        """Whether something that answers to `words` is preferred, or all is."""
        return self.prefer is None or self.prefer.lower() in (word.lower() for word in words)

    def refuse(self, variant: Variant, candidate: Candidate, device: Device) -> str | None:
        """Why `candidate` is left out; None if it is not."""
        if self.only is not None:
            return None if candidate == self.only else "another one was chosen"
        words = (variant.name, variant.format, variant.precision, candidate.backend)
        if not self.asks_for(*words, device.name, device.kind):
            return f"prefer={self.prefer!r}"
        hint = str(candidate.options.get("precision", "f32"))
        drop = variant.reduced.get(hint, 0.0)
        if drop > self.max_drop:
            return f"{hint} drops {drop:.4f}, at most {self.max_drop} is allowed"
        return None


def list_candidates(
    variants: Sequence[Variant],
    registry: Registry,
    rules: Rules,
    make: Callable[[type[Backend]], Backend | str] | None = None,
) -> tuple[list[Reachable], list[Outcome]]:
    """What can be tried on this machine, and what cannot, with the reason.

    Args:
        variants: the bundle's variants.
        registry: where backends are looked up.
        rules: what leaves candidates out.
        make: gives the backend of a class, or the reason why there is none; None: in this process.
    """
    make = make or construct
    reachable: list[Reachable] = []
    outcomes: list[Outcome] = []
    ready: dict[str, Backend | str] = {}
    for variant in variants:
        classes = [cls for cls in registry.classes("backend") if variant.format in cls.formats]
        if not classes:
            outcomes.append(_unavailable(variant, "", _no_backend(variant, registry)))
        for cls in classes:
            if not rules.admits(variant, cls.name):
                continue
            if cls.name not in ready:
                ready[cls.name] = make(cls)
            backend = ready[cls.name]
            if isinstance(backend, str):
                outcomes.append(_unavailable(variant, cls.name, backend))
                continue
            try:
                found = [(way, _why_not(rules, way)) for way in _ways(variant, backend, rules.only)]
            except Exception as error:  # noqa: BLE001 -- asking a driver can fail in any way
                ready[cls.name] = reason = f"{type(error).__name__}: {error}"
                outcomes.append(_unavailable(variant, cls.name, reason))
                continue
            for way, refusal in found:
                if refusal is None:
                    reachable.append(way)
                else:
                    outcomes.append(way.outcome("excluded", refusal))
    if rules.only is None:
        for backend in ready.values():
            if not isinstance(backend, str):
                outcomes += _absent(backend, rules)
    return reachable, outcomes


def _why_not(rules: Rules, way: Reachable) -> str | None:
    """Why `way` is left out, by a rule or its backend; None if it is not."""
    variant = way.variant
    refusal = rules.refuse(variant, way.candidate, way.device)
    return refusal or way.backend.refuse(way.device, variant.precision, variant.weight_range)


def _absent(backend: Backend, rules: Rules) -> Iterator[Outcome]:
    """The devices that `backend` knows and cannot reach, once for all variants."""
    try:
        absent = backend.absent()
    except Exception as error:  # noqa: BLE001 -- asking for devices can fail in any way
        yield Outcome(
            candidate=Candidate(variant="", backend=backend.name),
            verdict="unavailable",
            reason=f"asked for absent devices: {type(error).__name__}: {error}",
        )
        return
    for device in absent:
        if rules.asks_for(backend.name, device.name, device.kind):
            yield Outcome(
                candidate=Candidate(variant="", backend=backend.name, device=device.name),
                verdict="unavailable",
                reason=device.reason,
                kind=device.kind,
            )


def _no_backend(variant: Variant, registry: Registry) -> str:
    """What to install; or what is wrong with the plugin that is installed."""
    wanted = {need.partition("[")[0] for need in variant.requires}
    faulty = [
        plugin
        for plugin in registry.plugins()
        # Any broken plugin may have offered it; a disabled one has only if it is what is wanted.
        if plugin.state == "broken"
        or (plugin.state == "disabled" and plugin.distribution in wanted)
    ]
    remedies = [f"plugin {plugin.name!r} is {plugin.state}: {plugin.reason}" for plugin in faulty]
    if wanted.isdisjoint(plugin.distribution for plugin in faulty):
        remedies.insert(0, f"pip install {' '.join(variant.requires) or 'a plugin that runs it'}")
    return f"no backend for format {variant.format!r}; {'; '.join(remedies)}"


def _ways(variant: Variant, backend: Backend, only: Candidate | None) -> Iterator[Reachable]:
    """Every device and options with which `backend` could run `variant`.

    Of them, those that `only` widens, to several calls at once or several pictures a call, are as
    that has them.
    """
    for device in backend.devices():
        for options in backend.options(device, variant.precision):
            if only is not None and _is_widened(only.options, options):
                options = only.options
            candidate = Candidate(
                variant=variant.name, backend=backend.name, device=device.name, options=options
            )
            yield Reachable(candidate=candidate, variant=variant, backend=backend, device=device)


def narrowed(candidate: Candidate) -> Candidate:
    """`candidate` for one call at a time and one picture a call."""
    return replace(candidate, options=_narrow(candidate.options))


def _is_widened(options: Options, narrow: Options) -> bool:
    return _narrow(options) == dict(narrow)


def _narrow(options: Options) -> dict[str, int | str]:
    return {name: value for name, value in options.items() if name not in get_args(Width)}


def _unavailable(variant: Variant, backend: str, reason: str) -> Outcome:
    candidate = Candidate(variant=variant.name, backend=backend)
    return Outcome(candidate=candidate, verdict="unavailable", reason=reason)


def construct(cls: type[Backend]) -> Backend | str:
    """The backend, or the reason why there is none on this machine."""
    try:
        return create(cls)
    except EdgePrepError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 -- importing an engine can fail in any way
        return f"{type(error).__name__}: {error}"
