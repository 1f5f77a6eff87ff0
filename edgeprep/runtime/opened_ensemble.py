"""An ensemble that was read, with its members and what joins them, before anything is chosen."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from edgeprep.bundle import Bundle, EnsembleBundle, Variant, read_bundle
from edgeprep.combine import Combiner, Terms, build_combiner
from edgeprep.combine.combiners import need_blending
from edgeprep.errors import (
    BundleFormatError,
    IncompatibleBundle,
    PreferenceError,
    RecipeError,
    UnknownName,
)
from edgeprep.interfaces import Task
from edgeprep.monitor import Event, Events
from edgeprep.registry import Registry
from edgeprep.runtime.ensemble_session import EnsembleSession, name_members
from edgeprep.runtime.fit import check_fit
from edgeprep.runtime.goals import Goal
from edgeprep.runtime.isolation import Where
from edgeprep.runtime.kept import KeptFile
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.runtime.opening import recall_or_choose
from edgeprep.runtime.recheck import Recheck
from edgeprep.schema import build

if TYPE_CHECKING:
    from edgeprep.workers import Limits

__all__ = ["OpenedEnsemble", "check_learnt", "choose_members", "matching", "read_part", "wishes"]


class OpenedEnsemble:
    """A verified ensemble with its members, before their candidates are chosen.

    Args:
        bundle: what was read and verified.
        registry: where stages, tasks and backends are looked up.
        keep: whether its file is kept, so that members need not stay in memory with a session.

    Attributes:
        members: one a part.
        task: that of the results.
        combiner: joins them.
        terms: on which terms.

    Raises:
        BundleError: a part is no whole, unchanged bundle, or the parts do not fit together.
        IncompatibleBundle: a stage, the task or the combiner is not installed here.
    """

    def __init__(self, bundle: EnsembleBundle, registry: Registry, *, keep: bool = False) -> None:
        manifest = bundle.manifest
        self._bundle = bundle.path
        self._name = manifest.name
        self._input = manifest.input
        self.members = [
            _open_part(bundle, index, registry, keep=keep) for index in range(len(manifest.parts))
        ]
        self._events = Events(manifest.name)
        try:
            options = {key: value for key, value in manifest.task.items() if key != "use"}
            cls = registry.get("task", str(manifest.task["use"]))
            self.task: Task = build(cls, options, "task")
            self.combiner = build_combiner(manifest.combine, self.task)
        except (RecipeError, UnknownName) as error:
            raise IncompatibleBundle(
                f"{bundle.path}: must have a task and a combiner that are installed here, "
                f"got {error}; install the plugin that offers it, or a newer edgeprep"
            ) from error
        try:
            image = check_fit(self.task, self.members, "parts[{}]")
        except RecipeError as error:
            rule = "must have parts that fit together"
            raise BundleFormatError(f"{bundle.path}: {rule}, got {error}") from error
        if image != self._input:
            rule = f"must be {image}, as its parts take"
            raise BundleFormatError(f"{bundle.path}: input {rule}, got {self._input}")
        weights = np.array([part.weight for part in manifest.parts], np.float64)
        kind = need_blending(self.task).kind
        self.terms = Terms(kind=kind, weights=weights, learnt=bundle.learnt)
        check_learnt(self.combiner, self.terms, self.task, bundle.path)

    def attend(
        self,
        *,
        strict: bool,
        recheck: Recheck | None,
        on_event: Callable[[Event], object] | None,
    ) -> None:
        """What `edgeprep.open` was told of faults, for all members; they share their events."""
        if on_event is not None:
            self._events.listen(on_event)
        names = name_members([member.bundle.manifest.name for member in self.members])
        for name, member in zip(names, self.members, strict=True):
            member.strict, member.recheck = strict, recheck
            member.events, member.member = self._events, name

    def aim(self, goal: Goal) -> None:
        """What the choices of all members are for."""
        for member in self.members:
            member.goal = goal

    def isolate(self, where: Where, limits: "Limits | None") -> None:
        """Where candidates of all members are tried and answer; see `OpenedBundle.isolate`."""
        for member in self.members:
            member.isolate(where, limits)

    def open(
        self, *, prefer: str | None, probe: bool, seconds: float, scored: bool = False
    ) -> EnsembleSession:
        """A session; see `edgeprep.open`.

        Args:
            prefer: see `edgeprep.open`, as the others are.
            probe: see there.
            seconds: see there.
            scored: whether the ensemble, too, answers as its task scores data.

        Raises:
            PreferenceError: `prefer` is no word that a candidate of any member could answer to.
            NoUsableBackend: a member has no candidate that can run here, or has what is preferred
                and cannot run that.
        """
        return EnsembleSession(
            name=self._name,
            input=self._input,
            task=self.task.for_scoring() if scored else self.task,
            members=choose_members(self.members, prefer=prefer, probe=probe, seconds=seconds),
            combiner=self.combiner,
            terms=self.terms,
            events=self._events,
        )


def choose_members(
    members: Sequence[OpenedBundle], *, prefer: str | None, probe: bool, seconds: float
) -> tuple[NetworkSession, ...]:
    """A session for each of `members`, on what is preferred where it has that.

    Members answer as their tasks score data, whoever opens them: what is joined of a member that
    leaves out what it is unsure of is something else than what was scored.

    Raises:
        PreferenceError: see `OpenedEnsemble.open`.
        NoUsableBackend: see there.
    """

    def chosen(member: OpenedBundle, wish: str | None) -> NetworkSession:
        member.task = member.task.for_scoring()
        return recall_or_choose(member, prefer=wish, probe=probe, seconds=seconds)

    with ExitStack() as stack:
        pairs = zip(members, wishes(members, prefer), strict=True)
        sessions = [stack.enter_context(chosen(member, wish)) for member, wish in pairs]
        stack.pop_all()
        return tuple(sessions)


def wishes(members: Sequence[OpenedBundle], prefer: str | None) -> list[str | None]:
    """What each of `members` is asked for: `prefer`, where a candidate of it could answer to that.

    Raises:
        PreferenceError: no candidate of any member could.
    """
    heard: list[str | None] = []
    refused: list[PreferenceError] = []
    for member in members:
        try:
            member.rules(prefer)
            heard.append(prefer)
        except PreferenceError as error:
            refused.append(error)
            heard.append(None)
    if len(refused) == len(members):
        raise refused[0]
    return heard


def matching(variants: Sequence[Variant], prefer: str) -> tuple[Variant, ...]:
    """The variants of this name, format or precision, as a part prefers them; "": all."""
    return tuple(
        variant
        for variant in variants
        if prefer in ("", variant.name, variant.format, variant.precision)
    )


def check_learnt(combiner: Combiner, terms: Terms, task: Task, where: str) -> None:
    """Refuse arrays that are not what `combiner` learns.

    Raises:
        BundleFormatError: there are others, or of other shapes.
    """
    classes = len(getattr(task, "labels", None) or ())
    wanted = dict(combiner.learnt_shapes(terms.kind, len(terms.weights), classes))
    got = {name: array.shape for name, array in terms.learnt.items()}
    if got != wanted or any(array.dtype != np.float32 for array in terms.learnt.values()):
        rule = f"must have learnt {wanted} in float32, as combiner {combiner.name!r} does"
        types = {name: f"{array.dtype} {array.shape}" for name, array in terms.learnt.items()}
        raise BundleFormatError(f"{where}: {rule}, got {types}")
    for name, array in terms.learnt.items():
        if not np.isfinite(array).all():
            raise BundleFormatError(f"{where}: learnt {name!r} must be finite, got NaN or infinity")


def _open_part(
    bundle: EnsembleBundle, index: int, registry: Registry, *, keep: bool
) -> OpenedBundle:
    network, chosen = read_part(bundle, index)
    member = bundle.manifest.parts[index].bundle
    kept = KeptFile(bundle, (member, network.digest)) if keep else None
    return OpenedBundle(network, registry, only=chosen, kept=kept)


def read_part(bundle: EnsembleBundle, index: int) -> tuple[Bundle, tuple[Variant, ...]]:
    """The network at `index`, and those of its variants that may answer.

    Raises:
        BundleError: it is no whole, unchanged bundle, or not what the ensemble says of it.
    """
    part, where = bundle.manifest.parts[index], f"{bundle.path}: parts[{index}]"
    network = read_bundle(BytesIO(bundle.member(part.bundle)), where)
    if network.manifest.name != part.name:
        rule = f"must be {network.manifest.name!r}, as its bundle says"
        raise BundleFormatError(f"{where}.name: {rule}, got {part.name!r}")
    chosen = matching(network.manifest.variants, part.prefer)
    if not chosen:
        rule = "must be a variant, format or precision of its bundle"
        raise BundleFormatError(f"{where}.prefer: {rule}, got {part.prefer!r}")
    return network, chosen
