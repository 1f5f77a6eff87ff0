"""A session of several networks, whose results are joined."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgeprep.combine import Arrays, Combiner, Terms
from edgeprep.combine.combiners import need_blending
from edgeprep.errors import EdgePrepError, InputError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Task
from edgeprep.monitor import Events
from edgeprep.monitor.watches import Origin
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.ensemble_stream import EnsembleStream
from edgeprep.runtime.health import Health, worst
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.session import Session
from edgeprep.runtime.stream import Pace
from edgeprep.tensors import ImageSpec

if TYPE_CHECKING:
    from edgeprep.monitor.drift import DriftReport
    from edgeprep.monitor.metrics import Metrics

__all__ = ["ENSEMBLE", "EnsembleSession", "join_outcomes", "name_members"]

# What candidates of the whole call their variant.
ENSEMBLE = "ensemble"


class EnsembleSession(Session):
    """See `Session`. Members run one after another.

    What members get from the host is prepared once for all whose share of the host is the same.
    `outcomes` begins with the ensemble; after it come those of each member, whose variants have
    its name in front, as in "digits-vit/onnx-int8".

    Args:
        name: of the ensemble.
        input: the pictures that all members take.
        task: that of the joined results.
        members: at least one; they are closed with this session.
        combiner: joins their results.
        terms: a weight for each.
        events: told what happens to the ensemble; None: new ones.

    Attributes:
        members: the sessions of its networks, which answer as their tasks score data: those of
            detectors with boxes of low scores, too.
        names: what they are called, one a member; no two are the same.
    """

    def __init__(
        self,
        *,
        name: str,
        input: ImageSpec,
        task: Task,
        members: Sequence[NetworkSession],
        combiner: Combiner,
        terms: Terms,
        events: Events | None = None,
    ) -> None:
        super().__init__(name, events)
        self.input = input
        self.task = task
        self.members = tuple(members)
        self.names = name_members([member.name for member in members])
        self.remembered = all(member.remembered for member in members)
        self._combiner = combiner
        self._terms = terms
        self._blending = need_blending(task)
        self._takes = tuple(need_blending(member.task).take for member in members)
        self._sharing = tuple(_first_alike(members, index) for index in range(len(members)))
        self._is_open = True
        members_outcomes = [member.outcomes for member in members]
        self.outcomes = join_outcomes(
            combiner, [member.name for member in members], members_outcomes
        )

    @property
    def streams_only(self) -> bool:
        """See `Session.streams_only`."""
        return any(member.streams_only for member in self.members)

    def health(self) -> Health:
        """See `Session.health`; it is as its worst member is."""
        self._check_usable()
        members = [member.health() for member in self.members]
        state = worst([member.state for member in members])
        return Health(
            state=state,
            chosen=self.choice,
            answering=None if state == "failed" else self.choice,
            failures=sum(member.failures for member in members),
            events=self._events.counts,
            members=dict(zip(self.names, members, strict=True)),
        )

    def join(self, results: Sequence[Any]) -> Any:
        """One result of those of the members, in their order.

        Raises:
            OutputError: they do not fit together.
        """
        blending, pairs = self._blending, zip(self._takes, results, strict=True)
        arrays: Sequence[Arrays] = [take(one) for take, one in pairs]
        if blending.align is not None:
            arrays = blending.align(arrays)
        return blending.give(self._combiner.join(arrays, self._terms))

    def outputs(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """See `Session.outputs`: refused."""
        self._check_usable()
        raise self._not_one("outputs(picture)")

    def explain(self) -> str:
        """A table for each member, as `Session.explain`, after what joins them."""
        lines = [f"{self.name}: {len(self.members)} members, {self._combiner.name}"]
        for index, member in enumerate(self.members):
            words = f"member[{index}]"
            if not self._combiner.learns:
                words += f", weight {self._terms.weights[index]:g}"
            if (shared := self._sharing[index]) != index:
                words += f", takes what member[{shared}] has prepared"
            lines += ["", words, member.explain()]
        return "\n".join(lines)

    def metrics(self) -> "Metrics":
        """See `Session.metrics`."""
        from edgeprep.monitor.metrics import Metrics  # here, as it is rarely asked for

        members = {
            name: member.metrics() for name, member in zip(self.names, self.members, strict=True)
        }
        return Metrics.of(
            self.meter,
            self._events,
            session=self.name,
            candidate=str(self.choice),
            drift=self.drift(),
            members=members,
        )

    def drift(self) -> "DriftReport":
        """See `Session.drift`: what any member finds."""
        from edgeprep.monitor.drift import join_reports

        return join_reports([member.drift() for member in self.members])

    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """See `Session.backward`: refused."""
        raise self._not_one("backward(height, width)")

    @property
    def closed(self) -> bool:
        """See `Session.closed`."""
        return not self._is_open

    def close(self) -> None:
        """See `Session.close`."""
        self._stop_streams()
        self._is_open = False
        for member in self.members:
            member.close()

    @property
    def _crowd(self) -> int:
        return max(member._crowd for member in self.members)

    @property
    def _together(self) -> int:
        return max(member._together for member in self.members)

    def _answers(self, pictures: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        self._check_usable()
        prepared: dict[int, Sequence[NDArray[np.uint8]]] = {}
        results = []
        for member, one in zip(self.members, self._sharing, strict=True):
            if one not in prepared:
                prepared[one] = list(map(member.timed_prepare, pictures))
            results.append(member.results(pictures, prepared[one]))
        return list(map(self.join, zip(*results, strict=True)))

    def _answer(self, picture: NDArray[np.uint8], place: str) -> Any:
        try:
            self._check_usable()
            prepared: dict[int, NDArray[np.uint8]] = {}
            results = []
            for member, one in zip(self.members, self._sharing, strict=True):
                if one not in prepared:
                    prepared[one] = member.take(picture)
                results.append(member.result(picture, prepared[one], place))
            return self.join(results)
        except EdgePrepError as error:
            self.meter.failed(error)
            raise

    def _stream(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        pace: Pace,
        every: int,
        origin: Origin | None = None,
    ) -> EnsembleStream:
        return EnsembleStream(
            pictures,
            members=self.members,
            sharing=self._sharing,
            check=self._check_usable,
            join=self.join,
            failed=self.meter.failed,
            pace=pace,
            every=every,
            origin=origin,
        )

    def _not_one(self, call: str) -> InputError:
        rule = f"session {self.name!r}: must be of one network"
        return InputError(
            f"{rule}, got an ensemble of {len(self.members)}; ask session.members[0].{call}"
        )

    def _check_usable(self) -> None:
        if not self._is_open:
            raise self._closed()
        self._check_process()


def join_outcomes(
    combiner: Combiner, names: Sequence[str], outcomes: Sequence[Sequence[Outcome]]
) -> tuple[Outcome, ...]:
    """What became of all candidates of an ensemble, which stands first.

    Args:
        combiner: joins the members.
        names: those of the members' bundles.
        outcomes: what became of the candidates of each member.
    """
    reason = f"joins {len(names)} members"
    times = [one.timing.median_ms for one, *_ in outcomes if one.timing]
    if len(times) == len(names):
        reason += f", {sum(times):.3f} ms in their engines"
    candidate = Candidate(variant=ENSEMBLE, backend=combiner.name)
    joined = [Outcome(candidate=candidate, verdict="chosen", reason=reason)]
    for name, found in zip(name_members(names), outcomes, strict=True):
        for one in found:
            variant = f"{name}/{one.candidate.variant}"
            joined.append(replace(one, candidate=replace(one.candidate, variant=variant)))
    return tuple(joined)


def name_members(names: Sequence[str]) -> tuple[str, ...]:
    """What members are called, by the names of their bundles: numbered where two are the same."""
    return tuple(
        f"{name}#{index}" if names.count(name) > 1 else name for index, name in enumerate(names)
    )


def _first_alike(members: Sequence[NetworkSession], index: int) -> int:
    """The first of `members` whose preprocessing serves the one at `index`, too."""
    member = members[index]
    return next(
        (
            number
            for number, other in enumerate(members[:index])
            if member.shares and other.shares and member.host == other.host
        ),
        index,
    )
