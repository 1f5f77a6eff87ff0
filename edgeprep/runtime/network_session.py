"""A session of one network: preprocessing, one loaded candidate, the meaning of its outputs."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Reference
from edgeprep.errors import EdgePrepError, InputError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Runner, Task
from edgeprep.monitor import Events
from edgeprep.monitor.process import read_worker
from edgeprep.monitor.watches import Origin, Watches
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.ending import UNDER_WAY
from edgeprep.runtime.engine_calls import EngineCalls
from edgeprep.runtime.explain import explain
from edgeprep.runtime.fallback import FallbackRunner
from edgeprep.runtime.forks import keep_in_forks
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.health import Health
from edgeprep.runtime.inputs import check_clip
from edgeprep.runtime.memory import zeros
from edgeprep.runtime.outputs import all_finite, refuse
from edgeprep.runtime.release import close
from edgeprep.runtime.session import Session
from edgeprep.runtime.stream import Pace, PictureStream, Preparing
from edgeprep.runtime.timed import TimedPreparing
from edgeprep.runtime.widths import width_of
from edgeprep.stages.chain import NUMPY, Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.stream import Stream
from edgeprep.tensors import ImageSpec, TensorSpec

if TYPE_CHECKING:
    from edgeprep.monitor.drift import DriftReport
    from edgeprep.monitor.metrics import Metrics

__all__ = ["NetworkSession"]


class NetworkSession(Session):
    """See `Session`.

    Attributes:
        host: what prepares pictures outside of the graph.
        shares: whether a picture that was prepared for one session of the same host is prepared
            for this one.
    """

    shares = True

    def __init__(
        self,
        *,
        name: str,
        input: ImageSpec,
        chain: Chain,
        host: Chain,
        runner: Runner,
        task: Task,
        outcomes: tuple[Outcome, ...],
        remembered: bool,
        primitives: NumpyPrimitives = NUMPY,
        states: tuple[TensorSpec, ...] = (),
        events: Events | None = None,
        reference: Reference | None = None,
    ) -> None:
        super().__init__(name, events)
        self.input = input
        self.task = task
        self.outcomes = outcomes
        self.remembered = remembered
        self.host = host
        self._chain = chain
        self._primitives = primitives
        self._states = states
        # A clip is a film of its own, whatever preprocessing remembers in it.
        self._remembers = bool(states) or (host.remembers and not self._is_clip)
        self._frames = Frames.for_task(task, chain)
        self._runner: Runner | None = runner
        keep_in_forks(runner)
        self._output_names = tuple(output.name for output in runner.outputs)
        self._watches = Watches(reference, host.output.color, task, self._events)
        self._calls = EngineCalls(
            runner, session=name, outcomes=outcomes, meter=self.meter, events=self._events
        )

    @property
    def streams_only(self) -> bool:
        """See `Session.streams_only`."""
        return self._remembers

    def health(self) -> Health:
        """See `Session.health`."""
        runner = self._check_usable()
        if isinstance(runner, FallbackRunner):
            return runner.health()
        return Health(
            state="ok", chosen=self.choice, answering=self.choice, events=self._events.counts
        )

    def outputs(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """See `Session.outputs`."""
        return self._run(self.prepare(picture))

    def explain(self) -> str:
        """See `Session.explain`."""
        lines = [explain(self.outcomes, name=self.name, remembered=self.remembered)]
        if self.choice != self.outcomes[0].candidate:
            lines.append(f"now {self.choice} answers; see health() and events")
        return "\n".join((*lines, *self.host.explain()))

    def metrics(self) -> "Metrics":
        """See `Session.metrics`."""
        from edgeprep.monitor.metrics import Metrics  # here, as it is rarely asked for

        return Metrics.of(
            self.meter,
            self._events,
            session=self.name,
            candidate=str(self.choice),
            drift=self.drift(),
            worker=None if (pid := self._calls.worker_pid) is None else read_worker(pid),
        )

    def drift(self) -> "DriftReport":
        """See `Session.drift`."""
        return self._watches.report

    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """See `Session.backward`."""
        for name, value in (("height", height), ("width", width)):
            # NOTE: `bool` is an `int`.
            is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not is_whole or value < 1:
                rule = "must be a whole number of pixels from 1"
                raise InputError(f"{name}: {rule}, got {value!r}")
        return self._chain.backward(height, width)

    @property
    def closed(self) -> bool:
        """See `Session.closed`."""
        return self._runner is None

    def close(self) -> None:
        """See `Session.close`."""
        self._stop_streams()
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self.host.close()
        if os.getpid() == self._pid:  # a fork keeps it
            close(runner)

    def prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`picture`, or clip, as the graph takes it.

        Raises:
            InputError: it is not as `input` says.
        """
        self._check_usable()
        if self._remembers:
            who = "network remembers" if self._states else "preprocessing looks at"
            raise InputError(
                f"session {self.name!r}: pictures must come in a stream, as the {who} "
                "earlier ones, got one without them; use session.stream(pictures), or "
                "session(clip) for a whole film"
            )
        if self._is_clip:
            return self._prepare_clip(check_clip(picture, self.input))
        with UNDER_WAY:
            return self.host.prepare(picture, self._primitives)

    def take(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As `prepare`; how long it takes is counted, and what goes wrong."""
        try:
            return self.timed_prepare(picture)
        except EdgePrepError as error:
            self.meter.failed(error)
            raise

    def result(self, picture: NDArray[np.uint8], prepared: NDArray[np.uint8], place: str) -> Any:
        """The result for `picture`, which `take` has made `prepared` of."""
        return self._counted(picture, prepared, (), place)[0]

    def timed_prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As `prepare`; how long it takes is counted."""
        began = perf_counter()
        prepared = self.prepare(picture)
        self.meter.took("prepare", perf_counter() - began)
        return prepared

    def results(
        self, pictures: Sequence[NDArray[np.uint8]], prepared: Sequence[NDArray[np.uint8]]
    ) -> Sequence[Any]:
        """As `result` of each, which the engine computes together; errors are not counted.

        Raises:
            EdgePrepError: one of them has no result.
        """
        runner = self._check_usable()
        requests = [(one,) for one in prepared]
        answers = self._calls.make(lambda: runner.run_together(requests), pictures=len(requests))
        for outputs in answers:
            if not all_finite(outputs):
                self._refuse(outputs, "")
        results = list(map(self._decoded, pictures, answers))
        for one, result in zip(prepared, results, strict=True):
            self._watch(one, result, None)
        return results

    def begin(self) -> Preparing:
        """What prepares the pictures of one film."""
        return TimedPreparing(Stream(self.host, self._primitives), self.meter)

    def open_stream(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        begin: Callable[[], Preparing],
        pace: Pace,
        every: int,
        origin: Origin | None,
    ) -> PictureStream:
        """As `Session.stream`, of pictures that what `begin` gives prepares."""
        return PictureStream(
            pictures,
            begin=begin,
            check=self._check_usable,
            answer=partial(self._counted, origin=origin),
            states=zeros(self._states),
            window=self.input.batch,
            every=every,
            pace=pace,
        )

    def _stream(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        pace: Pace,
        every: int,
        origin: Origin | None = None,
    ) -> PictureStream:
        return self.open_stream(pictures, self.begin, pace, every, origin)

    def _answer(self, picture: NDArray[np.uint8], place: str) -> Any:
        return self.result(picture, self.take(picture), place)

    def _answers(self, pictures: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        return self.results(pictures, list(map(self.timed_prepare, pictures)))

    def _prepare_clip(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stream = self.begin()
        prepared = [stream.prepare(frame) for frame in frames]
        kept = [frame for frame in prepared if frame is not None]
        if len(kept) < len(frames):
            rule = f"session {self.name!r}: the preprocessing must keep every frame of a clip"
            raise InputError(f"{rule}, got {len(kept)} of {len(frames)}; use session.stream")
        return np.concatenate(kept)

    def _counted(
        self,
        picture: NDArray[np.uint8],
        prepared: NDArray[np.uint8],
        states: tuple[NDArray[Any], ...],
        place: str,
        origin: Origin | None = None,
    ) -> tuple[Any, tuple[NDArray[Any], ...]]:
        """The result, and the states after it; what goes wrong is counted."""
        try:
            found = self._next(picture, prepared, states, place)
        except EdgePrepError as error:
            self.meter.failed(error)
            raise
        self._watch(prepared, found[0], origin)
        return found

    def _watch(self, prepared: NDArray[np.uint8], result: Any, origin: Origin | None) -> None:
        watch = self._watches.of(origin)
        if watch.is_due() and (seen := self._seen(prepared)) is not None:
            watch.look(seen, result)

    def _seen(self, prepared: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """The picture in what was prepared, `(H, W, C)`, as the network takes it; None: none."""
        newest: NDArray[np.uint8] = prepared[-1]
        return newest

    def _next(
        self,
        picture: NDArray[np.uint8],
        prepared: NDArray[np.uint8],
        states: tuple[NDArray[Any], ...],
        place: str,
    ) -> tuple[Any, tuple[NDArray[Any], ...]]:
        """The result, and the states after it."""
        outputs = self._run_finite(place, prepared, *states)
        answers = len(outputs) - len(states)
        return self._decoded(picture, outputs[:answers]), outputs[answers:]

    def _decoded(self, picture: NDArray[np.uint8], outputs: tuple[NDArray[Any], ...]) -> Any:
        """The task's result of what the network says to `picture`."""
        began = perf_counter()
        frame = None
        if self._frames:
            # Of a clip, results lie in the last frame.
            frame = self._frames.of(picture[-1] if picture.ndim == 4 else picture)
        result = self.task.decode(outputs, frame)
        self.meter.took("decode", perf_counter() - began)
        return result

    @property
    def _crowd(self) -> int:
        if self._remembers or not isinstance(self._runner, FallbackRunner):
            return 1
        options = self.choice.options
        return width_of(options, "calls") * width_of(options, "batch")

    @property
    def _together(self) -> int:
        runner = self._runner
        return 1 if self._remembers or runner is None else runner.batch

    def _answering(self) -> Candidate:
        return self._calls.answering

    def _run_finite(self, place: str, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs for `inputs`, which messages find at `place`.

        Raises:
            NonFiniteOutput: the network gives NaN or infinity, and whatever runs it is right.
        """
        outputs = self._run(*inputs)
        if all_finite(outputs):
            return outputs
        runner = self._runner
        if isinstance(runner, FallbackRunner):
            outputs = self._calls.make(lambda: runner.doubt(inputs, outputs))
            if all_finite(outputs):
                return outputs
        self._refuse(outputs, place)
        return outputs

    def _refuse(self, outputs: tuple[NDArray[Any], ...], place: str) -> None:
        where = f"session {self.name!r}{place}"
        refuse(outputs, self._output_names, where=where, by=str(self.choice))

    def _run(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        runner = self._check_usable()
        return self._calls.make(lambda: runner.run(inputs))

    def _check_usable(self) -> Runner:
        runner = self._runner
        if runner is None:
            raise self._closed()
        self._check_process()
        return runner
