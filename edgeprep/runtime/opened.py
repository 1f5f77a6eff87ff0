"""A bundle that was read, with its preprocessing and its task, before anything is chosen."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, EnsembleBundle, Variant, one_network, open_either
from edgeprep.errors import (
    BackendUnavailable,
    BackendWrongOutput,
    BundleError,
    IncompatibleBundle,
    RecipeError,
    UnknownName,
)
from edgeprep.interfaces import Backend, FileStage, Placement, Precision, Runner, Task
from edgeprep.monitor import Events
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import (
    Candidate,
    Outcome,
    Reachable,
    Rules,
    list_candidates,
)
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.compiled import CompiledForms
from edgeprep.runtime.fallback import FallbackRunner
from edgeprep.runtime.goals import Goal
from edgeprep.runtime.golden import allowed_error, golden_error
from edgeprep.runtime.hosts import Host, choose_host, could_use_opencv, opencv_host
from edgeprep.runtime.isolation import Engines, Isolation, Where
from edgeprep.runtime.kept import KeptFile
from edgeprep.runtime.links import LinkMaker, hold
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.recheck import Recheck
from edgeprep.runtime.timing import measure_burst
from edgeprep.runtime.widths import load_wide, width_of
from edgeprep.schema import build, show
from edgeprep.stages.chain import Chain

if TYPE_CHECKING:
    from edgeprep.workers import Limits

__all__ = ["OpenedBundle", "read_path"]

# Height and width in pixels, the commonest first.
_CAMERAS = ((480, 640), (1080, 1920), (4096, 4096))


def read_path(path: object) -> Bundle | EnsembleBundle:
    """The verified bundle in the file at `path`.

    Raises:
        StorageError: the file cannot be read.
        BundleError: `path` is no path, or there is no whole, unchanged bundle.
    """
    if not isinstance(path, (str, PathLike)):
        raise BundleError(f"bundle: must be the path of a file, got {show(path)}")
    return open_either(path)


class OpenedBundle:
    """A verified bundle with its preprocessing and its task, before a candidate is chosen.

    Args:
        bundle: what was read and verified.
        registry: where stages, tasks and backends are looked up.
        precision: of the variants that may run; None: all.
        only: the variants that may run; None: all.
        kept: its file, so that it need not stay in memory with a session, with which this is
            closed; None: it stays.

    Attributes:
        variants: those that may run.
        events: told what happens; a session has them, too.
        member: what the ensemble calls it that it is a member of; "" where there is none.
        goal: what a choice is for.
        strict: whether what goes wrong reaches the caller, and nothing else answers.
        recheck: how often what answers reproduces golden samples again; None: never.

    Raises:
        IncompatibleBundle: a stage or the task is not installed here.
    """

    def __init__(
        self,
        bundle: Bundle,
        registry: Registry,
        *,
        precision: Precision | None = None,
        only: tuple[Variant, ...] | None = None,
        kept: KeptFile | None = None,
    ) -> None:
        self._bundle: Bundle | None = bundle
        self._kept = kept
        self._digest = bundle.digest
        self.registry = registry
        self.events = Events(bundle.manifest.name)
        self.member = ""
        self.goal: Goal = "latency"
        self.strict = False
        self.recheck: Recheck | None = Recheck()
        manifest = bundle.manifest
        self.variants = _in_precision(bundle, precision) if only is None else only
        options = {key: value for key, value in manifest.task.items() if key != "use"}
        placements = {variant.placement for variant in self.variants}
        try:
            self.chain = Chain.build(
                manifest.chain, input=manifest.input, registry=registry, files=bundle.member
            )
            task = registry.get("task", str(manifest.task["use"]))
            self.task: Task = build(task, options, "task")
            chains = {placement: self.chain.cut(placement)[0] for placement in placements}
            if self.task.tiling is not None:
                from edgeprep.runtime.tiled import check_tiling  # here, as few bundles need it

                states = [state for variant in self.variants for state in variant.states]
                check_tiling(self.task, self.chain, states=states)
        except (RecipeError, UnknownName) as error:
            raise IncompatibleBundle(
                f"{self.bundle.path}: must have stages and a task that are installed here, "
                f"got {error}; install the plugin that offers it, or a newer edgeprep"
            ) from error
        self.isolate("never")
        self.hosts = {placement: Host(chain=chain) for placement, chain in chains.items()}

    @classmethod
    def read(cls, path: str | PathLike[str], registry: Registry) -> Self:
        """The bundle in the file at `path`.

        Raises:
            StorageError: the file cannot be read.
            BundleError: it is not a whole, unchanged bundle, or as for a bundle that was read.
        """
        return cls(one_network(read_path(path)), registry)

    @property
    def bundle(self) -> Bundle:
        """What was read and verified; read again where it is not in memory any more.

        Raises:
            StorageError: it cannot be read any more.
            BundleError: it has changed since.
        """
        if self._bundle is not None:
            return self._bundle
        assert self._kept is not None  # noqa: S101 -- else it was never let go of
        return self._kept.read()

    def _with_variant(self, variant: str) -> Bundle:
        """As `bundle`, but where it is read again, with the one variant alone."""
        if self._bundle is not None:
            return self._bundle
        assert self._kept is not None  # noqa: S101 -- else it was never let go of
        return self._kept.read(variant)

    def isolate(self, where: Where, limits: "Limits | None" = None) -> None:
        """Where candidates are tried and answer; until this is called, in this process.

        Args:
            where: as `Isolation` has it.
            limits: what a worker may take; None: the usual.
        """
        self.isolation = Isolation(
            where,
            limits,
            digest=self._digest,
            registry=self.registry,
            tell=lambda event: self.events.tell(event),
        )

    @property
    def backends(self) -> list[type[Backend]]:
        """The classes of the backends that run a format of its variants."""
        formats = {variant.format for variant in self.variants}
        classes = self.registry.classes("backend")
        return [cls for cls in classes if not formats.isdisjoint(cls.formats)]

    @property
    def open_hosts(self) -> list[Placement]:
        """The placements whose pictures OpenCV, which is installed, might prepare quicker."""
        return [name for name, host in self.hosts.items() if could_use_opencv(host.chain)]

    def start_hosts(self, *, prefer: str | None = None, seconds: float = 2.0) -> None:
        """Get hosts ready, and measure where there is a choice what prepares their pictures.

        Args:
            prefer: what networks that stages bring are asked for, too, if they have it.
            seconds: how long they are measured.
        """
        for host in self.hosts.values():
            host.chain.attend(self)
            host.chain.start(prefer=prefer, probe=True, seconds=seconds)
        for placement in self.open_hosts:
            chain, picture = self.hosts[placement].chain, self._camera_picture(placement)
            if picture is not None:
                self.hosts[placement] = choose_host(chain, picture)

    def recall_host(
        self, variant: str, name: str, *, prefer: str | None = None, seconds: float = 2.0
    ) -> bool:
        """Whether what prepared pictures for `variant` when it was chosen still does so rightly."""
        if name != "opencv":
            return True
        placement = self.bundle.variant(variant).placement
        chain, picture = self.hosts[placement].chain, self._camera_picture(placement)
        if picture is None:
            return False
        chain.attend(self)
        chain.start(prefer=prefer, probe=True, seconds=seconds)
        self.hosts[placement] = opencv_host(chain, picture)
        return self.hosts[placement].name == "opencv"

    def outcomes(self, prober: Prober) -> list[Outcome]:
        """What became of every candidate; of the chosen one also what prepares its pictures."""
        chosen, *others = prober.outcomes
        host = self.hosts[self.bundle.variant(chosen.candidate.variant).placement]
        if host.name:
            reason = "; ".join(filter(None, (chosen.reason, host.reason)))
            chosen = replace(chosen, host=host.name, reason=reason)
        return [chosen, *others]

    def rules(self, prefer: str | None) -> Rules:
        """What leaves candidates of this bundle out.

        Raises:
            PreferenceError: `prefer` is no word that a candidate could answer to.
        """
        if prefer is not None:
            from edgeprep.runtime.prefer import check_prefer  # here, as it is rarely given

            with self.isolation.engines() as engines:
                check_prefer(prefer, self.variants, self.registry, engines.construct)
        return Rules(prefer=prefer, max_drop=self.bundle.manifest.max_drop or 0.0)

    def load(self, candidate: Candidate, bundle: Bundle | None = None) -> Runner:
        """`candidate`, loaded.

        Args:
            candidate: of this bundle.
            bundle: it, where it is not in memory any more.

        Raises:
            BackendUnavailable: it is no candidate of this machine, or not any more.
            BackendError: the engine refuses it. It may raise anything else, too.
        """
        bundle = bundle or self.bundle
        if self.isolation.must_try(candidate):
            self._try(candidate, bundle)
        isolation = self.isolation
        with isolation.engines(probe=False) as engines, isolation.attempt(candidate):
            return self._load_by(engines, candidate, bundle)

    def _try(self, candidate: Candidate, bundle: Bundle) -> None:
        """Load `candidate` in a worker, and hold it to all golden samples there.

        Raises:
            BackendWrongOutput: it computes wrong numbers.
            BackendError: it crashes, hangs or cannot be loaded.
        """
        variant = bundle.variant(candidate.variant)
        with self.isolation.engines() as engines:
            runner = self._load_by(engines, candidate, bundle)
            with closing(runner):
                error = golden_error(runner, bundle.golden(variant), self.task)
        allowed = allowed_error(variant, candidate.options, candidate.device)
        if not error <= allowed:
            rule = f"must be within {allowed:.2g} of the golden outputs"
            raise BackendWrongOutput(f"{candidate}: {rule}, got an error of {error:.2g}")

    def _load_by(self, engines: Engines, candidate: Candidate, bundle: Bundle) -> Runner:
        variant = bundle.variant(candidate.variant)
        rules = Rules(only=candidate)
        found, left_out = list_candidates([variant], self.registry, rules, engines.construct)
        if not found:
            reasons = "; ".join(each.reason for each in left_out) or "it is not there"
            raise BackendUnavailable(f"{candidate}: must be there to be loaded, got {reasons!r}")
        backend, device = found[0].backend, found[0].device
        return load_wide(backend, bundle.model(variant), device, candidate.options)

    def prober(self, left_out: Sequence[Outcome] = ()) -> Prober:
        """What loads, proves and measures this bundle's candidates."""
        return Prober(
            self.bundle,
            self.task,
            self._request,
            left_out,
            rejected=self.isolation.reject,
            forms=CompiledForms(self.bundle.digest, self.events.tell, plugin_of=self._plugin_of),
            goal=self.goal,
        )

    def _plugin_of(self, backend: str) -> str:
        module = self.registry.get("backend", backend).__module__
        return module.partition(".")[0]

    def find_best(
        self, prober: Prober, candidates: Sequence[Reachable], *, seconds: float
    ) -> Trial:
        """The best of `candidates` for `goal`, loaded; the others are closed.

        Args:
            prober: loads and times.
            candidates: all that may win.
            seconds: how long the best few are measured against each other.

        Raises:
            NoUsableBackend: no candidate is left.
        """
        # Here, as a remembered choice needs none of them.
        if self.goal == "memory":
            from edgeprep.runtime.smallest import find_smallest

            return find_smallest(prober, candidates, weigh=self.weigh)
        if self.goal == "throughput":
            from edgeprep.runtime.busiest import find_busiest

            return find_busiest(prober, candidates, seconds=seconds)
        from edgeprep.runtime.fastest import find_fastest

        return find_fastest(prober, candidates, seconds=seconds)

    def weigh(self, one: Reachable) -> int:
        """The most memory that a process with nothing but this candidate holds, in bytes.

        Raises:
            BackendError: it cannot be measured.
        """
        from edgeprep.runtime.footprint import measure_process  # here, as few choices need it

        feed = self.bundle.golden(one.variant).feed(0)
        cls = self.registry.get("backend", one.candidate.backend)
        model, options = self.bundle.model(one.variant), one.candidate.options
        return measure_process(cls, model, one.device, options, feed)

    def session(
        self,
        trial: Trial,
        outcomes: Sequence[Outcome],
        *,
        remembered: bool = False,
        prefer: str | None = None,
        probe: bool = True,
        seconds: float = 2.0,
    ) -> NetworkSession:
        """A session on the candidate of `trial`, with all that its host needs started."""
        self.isolation.trust(outcomes)
        host = self.hosts[trial.reachable.variant.placement]
        host.chain.attend(self)
        host.chain.start(prefer=prefer, probe=probe, seconds=seconds)
        for stage in self.chain.stages[len(host.chain.stages) :]:
            if isinstance(stage, FileStage):  # inside the graph now
                stage.close()
        session = self._make_session()(
            name=self.bundle.manifest.name,
            input=self.bundle.manifest.input,
            chain=self.chain,
            host=host.chain,
            primitives=host.primitives,
            runner=self._chain(trial, outcomes),
            states=trial.reachable.variant.states,
            task=self.task,
            outcomes=tuple(outcomes),
            remembered=remembered,
            events=self.events,
            reference=self.bundle.manifest.reference(trial.reachable.variant.placement),
        )
        if self._kept is not None:  # the models of all variants are many times the one's
            self._bundle = None
        return session

    def _chain(self, trial: Trial, outcomes: Sequence[Outcome]) -> FallbackRunner:
        """What `trial` has loaded, and what answers in its place."""
        variant = trial.reachable.variant
        links = LinkMaker(
            variants=self.variants,
            chosen=variant,
            registry=self.registry,
            engines=self.isolation.engines,
            rules=self.rules(None),
            load=self.load,
            bundle=self._with_variant,
            task=self.task,
        )
        return FallbackRunner(
            links.link(trial.reachable.candidate, proven=True),
            hold(trial.runner, self.bundle, variant, self.task),
            others=links.known(outcomes),
            more=partial(links.more, outcomes),
            where=f"session {self.bundle.manifest.name!r}",
            label=self.member and f"{self.member}/",
            events=self.events,
            strict=self.strict,
            warm=self.isolation.answers_in_worker,
            recheck=self.recheck,
            verdicts=outcomes,
            release=None if self._kept is None else self._kept.close,
            crashed=self.isolation.crashed,
        )

    def _make_session(self) -> Callable[..., NetworkSession]:
        """What makes sessions: those of tasks that join tiles take pictures of any size."""
        tiling = self.task.tiling
        if tiling is None:
            return NetworkSession
        from edgeprep.runtime.tiled import TiledSession  # here, as few bundles need it

        return partial(TiledSession, tiling)

    def _request(
        self, candidate: Candidate, runner: Runner, feed: tuple[NDArray[Any], ...]
    ) -> Callable[[], list[float]]:
        """What times requests: of the engine, and of the host where placements compete.

        An engine in a worker is timed there, as it is the engine that is chosen, and the host here.
        """
        # Writable, as frames are: engines share such memory and copy what is read-only.
        prepared, *states = (array.copy() for array in feed)
        is_busy, calls = self.goal == "throughput", width_of(candidate.options, "calls")
        alone = partial(runner.measure_burst, (prepared, *states))
        if is_busy:
            alone = partial(runner.measure_busy, (prepared, *states), calls)
        if len(self.hosts) == 1:
            return alone
        placement = self.bundle.variant(candidate.variant).placement
        host, picture = self.hosts[placement], self._camera_picture(placement)
        if picture is None or len(prepared) > 1:  # of a clip, one frame is new each time
            return alone
        if not is_busy and self.isolation.where == "never":
            return lambda: measure_burst(lambda: runner.run((host.prepare(picture), *states)))

        def apart() -> list[float]:
            # Who calls prepares: what keeps one of them busy keeps the others from nothing.
            share = float(np.median(measure_burst(lambda: host.prepare(picture))))
            return [share / (calls if is_busy else 1) + ms for ms in alone()]

        return apart

    def _camera_picture(self, placement: Placement) -> NDArray[np.uint8] | None:
        """A picture to measure a host with; None where pictures of no usual size go through it."""
        chain = self.hosts[placement].chain
        for height, width in _CAMERAS:
            # Free-size pictures are timed at the commonest camera size that there may be.
            image = chain.input.replace(
                height=chain.input.height or height, width=chain.input.width or width
            )
            try:
                Chain(input=image, stages=chain.stages)
            except RecipeError:
                continue
            rng = np.random.default_rng(0)
            return rng.integers(0, 256, image.shape()[1:], dtype=np.uint8)
        return None


def _in_precision(bundle: Bundle, precision: Precision | None) -> tuple[Variant, ...]:
    """The variants in `precision`, or all.

    Raises:
        RecipeError: there are none.
    """
    variants = bundle.manifest.variants
    if precision is None:
        return variants
    chosen = tuple(variant for variant in variants if variant.precision == precision)
    if not chosen:
        known = sorted({variant.precision for variant in variants})
        rule = f"must have a variant in {precision!r}, as precision says"
        raise RecipeError(f"{bundle.path}: {rule}, got {known!r}")
    return chosen
