"""The links of a fallback chain: candidates that could answer in the place of another."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, Variant
from edgeprep.interfaces import DeviceKind, Runner, Task
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import Candidate, Outcome, Rules, list_candidates
from edgeprep.runtime.golden import allowed_error, golden_error, relative_error
from edgeprep.runtime.isolation import Isolation
from edgeprep.tensors import TensorSpec

__all__ = ["Engine", "Link", "LinkMaker", "hold"]

# Golden samples of large pictures are not all kept in memory for the whole life of a session.
_KEPT_BYTES = 4 * 2**20


class Engine(Struct, frozen=True, kw_only=True, eq=False):
    """A candidate that is loaded, with golden samples to hold it to.

    Attributes:
        runner: it.
        samples: how many golden samples there are.
        error: the relative error on one of them, which it computes.
        are_all: whether these are all golden samples of the bundle.
    """

    runner: Runner
    samples: int
    error: Callable[[int], float]
    are_all: bool = True

    def worst_error(self) -> float:
        """The largest relative error on these samples."""
        return max(self.error(index) for index in range(self.samples))


class Link(Struct, frozen=True, kw_only=True, eq=False):
    """A candidate that could answer.

    Attributes:
        candidate: which.
        allowed: the largest error on golden samples that it may have.
        proven: whether it reproduced all golden samples on this machine before.
        load: loads it.
        prove: the largest relative error, of what it has loaded, on all golden samples.
    """

    candidate: Candidate
    allowed: float
    proven: bool
    load: Callable[[], Engine]
    prove: Callable[[Engine], float] = Engine.worst_error


class LinkMaker:
    """Makes links of the candidates that prepare pictures as the chosen one does.

    Args:
        variants: those of the bundle that may run.
        chosen: what answers first.
        registry: where backends are looked up.
        isolation: says where they are loaded.
        rules: what leaves candidates out, but for what is preferred.
        bundle: gives what is opened, with a variant; read again where it is not in memory.
        task: the bundle's, which says what is compared with golden outputs.
    """

    def __init__(
        self,
        *,
        variants: Iterable[Variant],
        chosen: Variant,
        registry: Registry,
        isolation: Isolation,
        rules: Rules,
        bundle: Callable[[str], Bundle],
        task: Task,
    ) -> None:
        self._variants = {each.name: each for each in variants if _answers_alike(each, chosen)}
        self._registry = registry
        self._isolation = isolation
        self._rules = rules
        self._bundle = bundle
        self._task = task

    def known(self, outcomes: Sequence[Outcome]) -> list[Link]:
        """Links for what was found to be slower than the first of `outcomes`, or was not measured.

        What was measured comes first, and of that the quickest of each variant on each device of
        each engine: what fails with two threads seldom does better with one. What was not measured
        comes last, and of that the CPU.
        """
        others = [each for each in outcomes[1:] if each.candidate.variant in self._variants]
        measured = [each for each in others if each.verdict in ("slower", "larger")]
        measured.sort(key=lambda each: each.timing.median_ms if each.timing else inf)
        unmeasured = [each for each in others if each.verdict == "unmeasured"]
        unmeasured.sort(key=lambda each: each.kind == "cpu")
        return [
            *(self._of(each, proven=True) for each in _elsewhere_first(outcomes[0], measured)),
            *(self._of(each, proven=False) for each in unmeasured),
        ]

    def more(self, outcomes: Sequence[Outcome]) -> list[Link]:
        """Links for what was left out because something else is preferred; the CPU comes last."""
        seen = {str(each.candidate) for each in outcomes if each.verdict != "excluded"}
        variants = list(self._variants.values())
        # As where links are loaded: who opens the next bundle finds out what is wrong with engines.
        with self._isolation.engines(keep=False) as engines:
            reachable, _ = list_candidates(variants, self._registry, self._rules, engines.construct)
        rest = [each for each in reachable if str(each.candidate) not in seen]
        rest.sort(key=lambda each: each.device.kind == "cpu")
        return [self.link(each.candidate, each.device.kind, proven=False) for each in rest]

    def link(self, candidate: Candidate, kind: DeviceKind, *, proven: bool) -> Link:
        """The link for `candidate`, on a device of this kind."""
        variant = self._variants[candidate.variant]
        return Link(
            candidate=candidate,
            allowed=allowed_error(variant, candidate.options, kind),
            proven=proven,
            load=partial(self._engine, candidate),
            prove=partial(self._prove, variant),
        )

    def _of(self, outcome: Outcome, *, proven: bool) -> Link:
        assert outcome.kind is not None  # noqa: S101 -- what could be tried has a device
        return self.link(outcome.candidate, outcome.kind, proven=proven)

    def _prove(self, variant: Variant, engine: Engine) -> float:
        if engine.are_all:
            return engine.worst_error()
        return golden_error(engine.runner, self._bundle(variant.name).golden(variant), self._task)

    def _engine(self, candidate: Candidate) -> Engine:
        from edgeprep.runtime.loading import load_candidate  # here, as few sessions need it

        bundle = self._bundle(candidate.variant)
        runner = load_candidate(
            candidate,
            bundle,
            task=self._task,
            registry=self._registry,
            isolation=self._isolation,
        )
        return hold(runner, bundle, self._variants[candidate.variant], self._task)


def hold(runner: Runner, bundle: Bundle, variant: Variant, task: Task) -> Engine:
    """`runner` with golden samples of `variant`: as many as may stay in memory, at least one."""
    golden = bundle.golden(variant)
    arrays = (golden.input, *golden.states, *golden.outputs)
    size_bytes = sum(array.nbytes for array in arrays) // golden.count
    count = min(golden.count, max(1, _KEPT_BYTES // max(size_bytes, 1)))
    # Copies, so that the rest of the bundle need not stay.
    samples = [
        (_copies(golden.feed(index)), _copies(golden.expected(index))) for index in range(count)
    ]

    def error(index: int) -> float:
        feed, expected = samples[index]
        worst = relative_error(runner.run(feed), expected, task)
        if runner.batch > 1:  # a call for one proves nothing about what is computed for many
            together = [samples[(index + place) % count] for place in range(runner.batch)]
            results = runner.run_together([feed for feed, _ in together])
            pairs = zip(results, together, strict=True)
            worst = max(worst, *(relative_error(got, other[1], task) for got, other in pairs))
        return worst

    return Engine(runner=runner, samples=count, error=error, are_all=count == golden.count)


def _answers_alike(variant: Variant, other: Variant) -> bool:
    """Whether one may answer what was prepared for the other, and what it remembers goes on."""
    placed = variant.placement == other.placement
    return placed and _types(variant.states) == _types(other.states)


def _types(specs: Sequence[TensorSpec]) -> list[tuple[tuple[int, ...], str]]:
    return [(spec.shape, spec.dtype) for spec in specs]


def _elsewhere_first(chosen: Outcome, others: Sequence[Outcome]) -> list[Outcome]:
    """The first of `others` on each device of each engine for each variant, then the rest."""
    seen = {_place(chosen)}
    first: list[Outcome] = []
    later: list[Outcome] = []
    for outcome in others:
        (later if _place(outcome) in seen else first).append(outcome)
        seen.add(_place(outcome))
    return first + later


def _place(outcome: Outcome) -> tuple[str, str, str]:
    candidate = outcome.candidate
    return candidate.variant, candidate.backend, candidate.device


def _copies(arrays: Iterable[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    copies = tuple(array.copy() for array in arrays)
    for array in copies:
        array.flags.writeable = False
    return copies
