"""A bundle that was read, with its preprocessing and its task, before anything is chosen."""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, EnsembleBundle, Variant, one_network, open_either
from edgeprep.errors import BundleError, IncompatibleBundle, RecipeError, UnknownName
from edgeprep.interfaces import Backend, FileStage, Placement, Precision, Runner, Task
from edgeprep.monitor import Events
from edgeprep.registry import Registry
from edgeprep.runtime.candidates import Candidate, Outcome, Reachable, Rules
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.compiled import CompiledForms
from edgeprep.runtime.fallback import FallbackRunner
from edgeprep.runtime.goals import Goal
from edgeprep.runtime.hosts import (
    Host,
    camera_picture,
    choose_host,
    could_use_opencv,
    opencv_host,
)
from edgeprep.runtime.isolation import Isolation, Where
from edgeprep.runtime.kept import KeptFile
from edgeprep.runtime.links import LinkMaker, hold
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.recheck import Recheck
from edgeprep.runtime.request_timer import request_timer
from edgeprep.schema import build, show
from edgeprep.stages.chain import Chain

if TYPE_CHECKING:
    from edgeprep.workers import Limits

__all__ = ["OpenedBundle", "read_path"]


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
        """What was read and verified; there until a session is, if its file is kept."""
        assert self._bundle is not None  # noqa: S101 -- there is one session
        return self._bundle

    def _with_variant(self, variant: str) -> Bundle:
        """As `bundle`; where that is not there any more, it is read again for the one variant.

        Raises:
            StorageError: it cannot be read any more.
            BundleError: it has changed since.
        """
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
            chain = self.hosts[placement].chain
            picture = camera_picture(chain)
            if picture is not None:
                self.hosts[placement] = choose_host(chain, picture)

    def recall_host(
        self, variant: str, name: str, *, prefer: str | None = None, seconds: float = 2.0
    ) -> bool:
        """Whether what prepared pictures for `variant` when it was chosen still does so rightly."""
        if name != "opencv":
            return True
        placement = self.bundle.variant(variant).placement
        chain = self.hosts[placement].chain
        picture = camera_picture(chain)
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
            isolation=self.isolation,
            rules=self.rules(None),
            bundle=self._with_variant,
            task=self.task,
        )
        return FallbackRunner(
            links.link(trial.reachable.candidate, trial.reachable.device.kind, proven=True),
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
        placement = self.bundle.variant(candidate.variant).placement
        return request_timer(
            runner,
            feed,
            options=candidate.options,
            goal=self.goal,
            rival=self.hosts[placement] if len(self.hosts) > 1 else None,
            apart=self.isolation.where != "never",
        )


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
