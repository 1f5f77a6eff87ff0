"""Open a bundle: verify, prove, choose, and hold the winner."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from hashlib import sha256
from os import PathLike
from typing import Any, Self

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.bundle import Bundle, open_bundle
from edgeprep.collector import paused_collector
from edgeprep.errors import BundleError, IncompatibleBundle, PluginError, RecipeError, UnknownName
from edgeprep.interfaces import FileStage, Placement, Runner, Task
from edgeprep.registry import Registry, default_registry
from edgeprep.runtime.candidates import Candidate, Outcome, Rules, list_candidates
from edgeprep.runtime.choices import ChoiceCache
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.hosts import Host, choose_host, could_use_opencv, opencv_host
from edgeprep.runtime.machine import fingerprint
from edgeprep.runtime.session import Session
from edgeprep.runtime.timing import Timing
from edgeprep.schema import build, show
from edgeprep.stages.chain import Chain
from edgeprep.version import __version__

__all__ = ["OpenedBundle", "choose", "open", "recall"]

# One sample proves a remembered choice again; all of them proved it when it was measured.
_SAMPLES_AGAIN = 1


class OpenedBundle:
    """A verified bundle with its preprocessing and its task, before a candidate is chosen.

    Args:
        bundle: what was read and verified.
        registry: where stages, tasks and backends are looked up.

    Raises:
        IncompatibleBundle: a stage or the task is not installed here.
    """

    def __init__(self, bundle: Bundle, registry: Registry) -> None:
        self.bundle = bundle
        self.registry = registry
        manifest = bundle.manifest
        options = {key: value for key, value in manifest.task.items() if key != "use"}
        placements = {variant.placement for variant in manifest.variants}
        try:
            self.chain = Chain.build(
                manifest.chain, input=manifest.input, registry=registry, files=bundle.member
            )
            task = registry.get("task", str(manifest.task["use"]))
            self.task: Task = build(task, options, "task")
            chains = {placement: self.chain.cut(placement)[0] for placement in placements}
        except (RecipeError, UnknownName) as error:
            raise IncompatibleBundle(
                f"{self.bundle.path}: must have stages and a task that are installed here, "
                f"got {error}; install the plugin that offers it, or a newer edgeprep"
            ) from error
        self.hosts = {placement: Host(chain=chain) for placement, chain in chains.items()}

    @classmethod
    def read(cls, path: str | PathLike[str], registry: Registry) -> Self:
        """The bundle in the file at `path`.

        Raises:
            StorageError: the file cannot be read.
            BundleError: it is not a whole, unchanged bundle, or as for a bundle that was read.
        """
        if not isinstance(path, (str, PathLike)):
            raise BundleError(f"bundle: must be the path of a file, got {show(path)}")
        return cls(open_bundle(path), registry)

    @property
    def open_hosts(self) -> list[Placement]:
        """The placements whose pictures OpenCV, which is installed, might prepare quicker."""
        return [name for name, host in self.hosts.items() if could_use_opencv(host.chain)]

    def start_hosts(self, seconds: float = 2.0) -> None:
        """Get hosts ready, and measure where there is a choice what prepares their pictures.

        Args:
            seconds: how long networks that stages bring are measured.
        """
        for host in self.hosts.values():
            host.chain.start(probe=True, seconds=seconds)
        for placement in self.open_hosts:
            chain = self.hosts[placement].chain
            self.hosts[placement] = choose_host(chain, self._camera_picture())

    def recall_host(self, variant: str, name: str) -> bool:
        """Whether what prepared pictures for `variant` when it was chosen still does so rightly."""
        if name != "opencv":
            return True
        placement = self.bundle.variant(variant).placement
        self.hosts[placement] = opencv_host(self.hosts[placement].chain, self._camera_picture())
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

            check_prefer(prefer, self.bundle.manifest.variants, self.registry)
        return Rules(prefer=prefer, max_drop=self.bundle.manifest.max_drop or 0.0)

    def prober(self, left_out: Sequence[Outcome] = ()) -> Prober:
        """What loads, proves and measures this bundle's candidates."""
        return Prober(self.bundle, self._request, left_out)

    def session(
        self,
        trial: Trial,
        outcomes: Sequence[Outcome],
        *,
        remembered: bool = False,
        probe: bool = True,
        seconds: float = 2.0,
    ) -> Session:
        """A session on the candidate of `trial`, with all that its host needs started."""
        host = self.hosts[trial.reachable.variant.placement]
        host.chain.start(probe=probe, seconds=seconds)
        for stage in self.chain.stages[len(host.chain.stages) :]:
            if isinstance(stage, FileStage):  # inside the graph now
                stage.close()
        return Session(
            name=self.bundle.manifest.name,
            input=self.bundle.manifest.input,
            host=host.chain,
            primitives=host.primitives,
            runner=trial.runner,
            task=self.task,
            outcomes=tuple(outcomes),
            remembered=remembered,
        )

    def _request(
        self, variant: str, runner: Runner, prepared: NDArray[np.uint8]
    ) -> Callable[[], object]:
        """What is timed: the engine, and the host's share where placements compete."""
        if len(self.hosts) == 1:
            # Writable, as frames are: engines share such memory and copy what is read-only.
            return partial(runner.run, (prepared.copy(),))
        placement = self.bundle.variant(variant).placement
        host, picture = self.hosts[placement], self._camera_picture()
        return lambda: runner.run((host.prepare(picture),))

    def _camera_picture(self) -> NDArray[np.uint8]:
        image = self.bundle.manifest.input
        # Free-size pictures are timed at the commonest camera size.
        fixed = image.replace(height=image.height or 480, width=image.width or 640)
        shape = fixed.shape()[1:]
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def open(  # noqa: A001 -- `edgeprep.open` is the public name
    path: str | PathLike[str],
    *,
    prefer: str | None = None,
    probe: bool = True,
    plugins: Collection[str] | None = None,
    seconds: float = 2.0,
    registry: Registry | None = None,
) -> Session:
    """Open a bundle on the fastest path that computes the right numbers on this machine.

    Every byte is verified; candidates that do not reproduce the bundle's golden outputs are
    rejected; the others are measured, and the chosen one has reproduced them all. The choice is
    remembered for this bundle, machine and set of engines.

    Args:
        path: a `.edgeprep` file.
        prefer: consider only candidates with this variant, format, precision, backend, device or
            kind of device, such as "cpu", "openvino" or "int8".
        probe: False takes the first candidate that is right, smallest variant first, unmeasured.
        plugins: load no plugins but these.
        seconds: how long the best few candidates are measured against each other.
        registry: where plugins are looked up; None: the installed ones.

    Raises:
        StorageError: the file cannot be read.
        BundleError: it is not a whole, unchanged bundle; `IncompatibleBundle` where a stage or the
            task is not installed here.
        PreferenceError: `prefer` is no word that a candidate could answer to.
        NoUsableBackend: no candidate can run here; the message names each with its reason.
        PluginError: `plugins` is no list of names, or is given beside `registry`.
    """
    if registry is not None and plugins is not None:
        raise PluginError("plugins: must not be given beside a registry, got both")
    if registry is None:
        registry = default_registry() if plugins is None else Registry(allow=plugins)
    with paused_collector():
        opened = OpenedBundle.read(path, registry)
        if probe and (remembered := recall(opened, prefer=prefer, seconds=seconds)):
            return remembered
    return choose(opened, prefer=prefer, probe=probe, seconds=seconds)


def choose(
    opened: OpenedBundle, *, prefer: str | None = None, probe: bool = True, seconds: float = 2.0
) -> Session:
    """A session on the best candidate of this machine; see `open`."""
    rules = opened.rules(prefer)
    variants = sorted(opened.bundle.manifest.variants, key=lambda variant: variant.size_bytes)
    reachable, left_out = list_candidates(variants, opened.registry, rules)
    with opened.prober(left_out) as prober:
        if not probe:
            trial = prober.first(reachable)
            return opened.session(trial, prober.outcomes, probe=False)
        from edgeprep.runtime.fastest import find_fastest  # here, as a remembered choice needs none

        opened.start_hosts(seconds)
        trial = find_fastest(prober, reachable, seconds=seconds)
        outcomes = opened.outcomes(prober)
        ChoiceCache(key=_key(opened, prefer)).store([each.to_json() for each in outcomes])
        return opened.session(trial, outcomes, seconds=seconds)


def _key(opened: OpenedBundle, prefer: str | None) -> str:
    libraries = ("cv2",) if opened.open_hosts else ()
    machine = fingerprint(opened.registry.classes("backend"), libraries)
    facts = (__version__, opened.bundle.digest, machine, repr(prefer))
    return sha256("\n".join(facts).encode()).hexdigest()


def recall(
    opened: OpenedBundle, *, prefer: str | None = None, seconds: float = 2.0
) -> Session | None:
    """The session on the remembered choice, if there is one and it still computes rightly."""
    records = ChoiceCache(key=_key(opened, prefer)).load()
    if records is None:
        return None
    outcomes = [_outcome(record) for record in records]
    wanted = outcomes[0].candidate
    if not opened.recall_host(wanted.variant, outcomes[0].host):
        return None
    variants = opened.bundle.manifest.variants
    reachable, _ = list_candidates(variants, opened.registry, Rules(only=wanted))
    with opened.prober() as prober:
        trial = prober.prove(reachable[0], _SAMPLES_AGAIN) if reachable else None
        if trial is None:
            return None
        return opened.session(trial, outcomes, remembered=True, seconds=seconds)


def _outcome(record: dict[str, Any]) -> Outcome:
    timing = None
    if record["median_ms"] is not None:
        timing = Timing(**{name: record[name] for name in ("median_ms", "p90_ms")})
    return Outcome(
        candidate=Candidate(
            variant=record["variant"],
            backend=record["backend"],
            device=record["device"],
            options=record["options"],
        ),
        verdict=record["verdict"],
        reason=record["reason"],
        timing=timing,
        error=record["error"],
        host=record["host"],
    )
