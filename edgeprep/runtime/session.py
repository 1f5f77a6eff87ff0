"""What an application holds, whether one network answers or several."""

import os
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from edgeprep.closing import Closing
from edgeprep.errors import ClosedError, EdgePrepError, ForkedRunnerError, ShapeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Task
from edgeprep.monitor import Events, Meter
from edgeprep.monitor.watches import Origin
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.following import (
    Following,
    Playlists,
    Policy,
    Reconnect,
    check_every,
    check_pace,
    check_source,
)
from edgeprep.runtime.inputs import check_batch, check_clip
from edgeprep.runtime.stream import FilmStream, Pace, ResultStream
from edgeprep.runtime.timed import TimedStream
from edgeprep.stages.picture import check_picture
from edgeprep.tensors import ImageSpec

if TYPE_CHECKING:  # imported where it is asked for, as most sessions never are
    from edgeprep.monitor.drift import DriftReport
    from edgeprep.monitor.metrics import Metrics
    from edgeprep.runtime.health import Health
    from edgeprep.runtime.live import SourceStream
    from edgeprep.runtime.live.streams import Streams

__all__ = ["Session"]


class Session(Closing):
    """An open bundle on its fastest path. `edgeprep.open` makes it.

    It may be shared between threads. It is closed by `close()` or at the end of a `with` block.

    Attributes:
        name: the bundle's name.
        input: the pictures that it takes; where its `batch` is above 1, that many make a clip.
        task: what results are of.
        outcomes: what became of every candidate, the chosen one first.
        remembered: whether the choice was measured at an earlier `open`.
        meter: counts what it does; see `metrics`.
    """

    name: str
    input: ImageSpec
    task: Task
    outcomes: tuple[Outcome, ...]
    remembered: bool

    def __init__(self, name: str, events: Events | None = None) -> None:
        self._pid = os.getpid()
        self.name = name
        self.meter = Meter()
        self._events = Events(name) if events is None else events
        self._streams: Streams | None = None
        self._first_stream = Lock()
        self._dismiss: Callable[[object], None] | None = None

    @property
    def choice(self) -> Candidate:
        """The candidate that answers now; see `health` where it is not what was chosen."""
        return self._answering()

    @property
    def events(self) -> Events:
        """What has happened that its owner should know of, and who is told of it."""
        return self._events

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was closed, and answers no more."""

    @abstractmethod
    def health(self) -> "Health":
        """What answers now, what was chosen, and what has failed lately.

        Raises:
            ClosedError: the session is closed.
            ForkedRunnerError: this process is a fork of the one that opened the session.
        """

    @property
    @abstractmethod
    def streams_only(self) -> bool:
        """Whether pictures must come in a stream, as earlier ones are remembered."""

    def __call__(self, picture: NDArray[np.uint8]) -> Any:
        """The task's result for one picture, or one clip.

        Args:
            picture: `(H, W, C)`, or `(frames, H, W, C)` where the network takes clips, uint8, in
                the bundle's colour order (`session.input`). It is not copied where that can be
                helped: if another thread changes it meanwhile, the result is of a mixture of both.
                Where earlier pictures are remembered, a whole film, `(frames, H, W, C)`, of which
                the last frame's result is given.

        Raises:
            InputError: the picture is not of that type.
            BackendError: the engine failed.
            NonFiniteOutput: the network's outputs hold NaN or infinity.
            ClosedError: the session is closed.
            ForkedRunnerError: this process is a fork of the one that opened the session.
        """
        return self._of(picture, "")

    def batch(self, pictures: Iterable[NDArray[np.uint8]]) -> tuple[Any, ...]:
        """The results for several pictures, or for an array of `(N, H, W, C)`, in their order.

        All pictures are checked before the first one runs. Clips come in a list. A session that was
        opened for throughput answers as many together as its engine computes in one call, in as
        many threads as keep it busy. Pictures must stay as they are meanwhile.

        Raises:
            InputError: `pictures` are not pictures of that type. The rest as for one picture.
        """
        self._check_open()
        check = check_clip if self._is_clip else self._check
        checked = [
            check(picture, self.input, f"pictures[{index}]")
            for index, picture in enumerate(check_batch(pictures))
        ]
        places = [f": pictures[{index}]" for index in range(len(checked))]
        if self._crowd > 1 and len(checked) > 1:
            from edgeprep.runtime.callers import answer_at_once  # here, as few have a crowd

            self._check_process()
            size = self._together
            callers = -(-self._crowd // size)
            return answer_at_once(self._of_several, checked, places, size=size, callers=callers)
        return tuple(map(self._of, checked, places))

    @property
    def _crowd(self) -> int:
        """How many calls at once keep what answers busy; 1 where it was not chosen for several."""
        return 1

    @property
    def _together(self) -> int:
        """How many pictures `_answers` computes in one call of the engine."""
        return 1

    def _of_several(self, pictures: Sequence[Any], places: Sequence[str]) -> Sequence[Any]:
        if len(pictures) == 1:
            return [self._of(pictures[0], places[0])]
        began = perf_counter()
        try:
            results = self._answers(pictures)
        except EdgePrepError:
            # One by one, the first that has no answer is found, named and counted.
            return list(map(self._of, pictures, places))
        took_s = perf_counter() - began
        for _ in results:
            self.meter.took("total", took_s)
        return results

    def _answers(self, pictures: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        """As `_answer`, of pictures that the engine computes together; errors are not counted.

        Raises:
            EdgePrepError: one of them has no answer.
        """
        raise NotImplementedError  # `_together` is 1

    def _of(self, picture: NDArray[np.uint8], place: str) -> Any:
        began = perf_counter()
        if self._is_film(picture):
            (result,) = deque(self._stream(picture, None, 1), maxlen=1)
        else:
            result = self._answer(picture, place)
        self.meter.took("total", perf_counter() - began)
        return result

    def _check(self, picture: Any, image: ImageSpec, where: str) -> NDArray[np.uint8]:
        if not self._is_film(picture, where):
            return check_picture(picture, image, where)
        frames = enumerate(picture)
        return np.asarray([check_picture(one, image, f"{where}[{index}]") for index, one in frames])

    def _is_film(self, picture: Any, where: str = "clip") -> bool:
        """Whether it is a film, from its beginning, of a session that remembers.

        Raises:
            ShapeError: it has no frames.
        """
        film = isinstance(picture, np.ndarray) and picture.ndim == 4 and self.streams_only
        if film and not len(picture):
            raise ShapeError(f"{where}: must have at least one frame, got {picture.shape}")
        return film

    @overload
    def stream(
        self,
        source: Iterable[NDArray[np.uint8]],
        *,
        fps: float | None = None,
        every: int = 1,
        clock: Callable[[], float] | None = None,
        policy: None = None,
    ) -> ResultStream: ...

    @overload
    def stream(
        self,
        source: Iterable[NDArray[np.uint8]],
        *,
        fps: float | None = None,
        every: int = 1,
        clock: Callable[[], float] | None = None,
        policy: Policy,
        queue: int = 4,
    ) -> "SourceStream": ...

    @overload
    def stream(
        self,
        source: int | str | PathLike[str],
        *,
        every: int = 1,
        policy: Policy | None = None,
        queue: int = 4,
        timeout_s: float = 10.0,
        reconnect: Reconnect = None,
        playlists: Playlists = "refuse",
    ) -> "SourceStream": ...

    def stream(
        self,
        source: "int | str | PathLike[str] | Iterable[NDArray[np.uint8]]",
        *,
        fps: float | None = None,
        every: int = 1,
        clock: Callable[[], float] | None = None,
        policy: Policy | None = None,
        queue: int = 4,
        timeout_s: float = 10.0,
        reconnect: Reconnect = None,
        playlists: Playlists = "refuse",
    ) -> "ResultStream | SourceStream":
        """What the session answers to one camera, address, film or row of pictures, in order.

        What preprocessing and network remember of earlier pictures is that of this call alone:
        several streams may run at once, and `reset()` makes one forget.

        Pictures of the caller come one by one, as results are asked for. All else is followed by
        threads, and so are the caller's pictures where a `policy` is given: one captures, one
        prepares, one answers, at the same time.

        Args:
            source: a camera by its number, from 0; an address, such as "rtsp://…"; the path of a
                film; or pictures, `(H, W, C)` each, uint8, as the session takes them, all of one
                size where earlier ones are looked at.
            fps: how many come in a second; None: unknown. Of pictures of the caller alone.
            every: of a network that takes clips, after how many more pictures it looks at the
                last ones again.
            clock: in the place of `fps`, where pictures do not come evenly, as of a camera whose
                newest picture is taken: gives when the last one was taken, in seconds, such as
                `time.monotonic`. One that gives no finite number is an InputError of its picture,
                and with a `policy` the end.
            policy: "newest": what nobody takes in time gives way to what is newer, and is counted;
                a film is played at its own pace. "every": whoever is quicker waits. None: "newest"
                of cameras and addresses, "every" of films.
            queue: with "every", how many may wait between two steps.
            timeout_s: for how long a camera or address may send nothing; at most a day.
            reconnect: how often in a row a camera or address that is lost, or ends, is tried again,
                after 1, 2, 4 … at most 30 seconds and a bit; "always": for ever; None: for ever,
                once a picture has come. What says how long it is, as a film at an address, is over
                when that has come.
            playlists: "follow": a film may be a playlist or a list of parts, which names other
                files of this machine; they come out as pictures. An address always may lead to
                other addresses, of any host, and never to files.

        Returns:
            An iterator. Of pictures without a `policy` it gives one result a picture; None for
            pictures that the stage `frames` drops, and where a clip is not yet full. Of all else,
            one `Answer` a picture, in which there is the result; it may be iterated over with
            `async for`, too, or call a listener.

        Raises:
            InputError: an argument breaks one of these rules, or there is nothing to follow. The
                stream raises as for one picture, of the picture that is next, and goes on; and
                FilmError, in the end, where the source is lost.
            BackendUnavailable: PyAV is not installed.
            ClosedError: the session is closed.
        """
        self._check_open()
        check_source(source)
        pace = check_pace(fps, clock)
        check_every(every, clips=self._is_clip)
        following = Following(
            policy=policy,
            queue=queue,
            timeout_s=timeout_s,
            reconnect=reconnect,
            playlists=playlists,
        )
        following.check()
        if policy is None and not isinstance(source, (int, str, PathLike)):
            checked: Any = check_batch(source)  # each is checked when it comes
            origin = Origin()
            return TimedStream(
                lambda taken: self._stream(taken, pace, every, origin), checked, self.meter
            )
        # Here, as most sessions follow nothing.
        from edgeprep.runtime.live.follow import follow

        return follow(
            source,
            following,
            begin=lambda origin: self._stream((), None, every, origin),
            image=self.input,
            streams=self._followed(),
            pace=pace,
        )

    async def answer(self, picture: NDArray[np.uint8]) -> Any:
        """As a call, for programs with an event loop, which goes on meanwhile.

        Any number may be under way; as many as there are cores, and one, work at once, or as
        many as keep busy what was opened for throughput. The others wait; one that is cancelled
        before its turn is never worked on.

        Args:
            picture: as for a call.

        Raises: as a call; and BackendError where the system has no thread for it.
        """
        from edgeprep.runtime.live.awaiting import dismiss, run  # here, as few have a loop

        self._check_process()
        self._dismiss = dismiss
        return await run(self, lambda: self(picture), crowd=self._crowd)

    @abstractmethod
    def outputs(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """The network's outputs for one picture, each with a first axis of length 1.

        They are the engine's numbers as they are; NaN and infinity may be among them.

        Raises:
            InputError: the session is that of an ensemble, whose members have outputs. The rest as
                for a result.
        """

    @abstractmethod
    def explain(self) -> str:
        """A table of all candidates: the winner, the losers, and why; then what else was chosen."""

    @abstractmethod
    def metrics(self) -> "Metrics":
        """What the session has counted since it was opened: times, errors, drops, events.

        `metrics().to_json()` is a document; see also `edgeprep.monitor.prometheus` and
        `edgeprep.monitor.opentelemetry`.
        """

    @abstractmethod
    def drift(self) -> "DriftReport":
        """Whether pictures and answers are as they were when the bundle was made, or not known.

        What changes is told as an event, too. Each stream is watched by itself, and calls together;
        `drift().streams` says which of them have faults.
        """

    @abstractmethod
    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """Where in a picture of this size, in pixels, the pixels are from that the network sees.

        Returns:
            A map for each picture that the preprocessing makes of one, nearly always one:
            `backward(720, 1280)[0].boxes(boxes)` brings boxes of the network's picture back.

        Raises:
            InputError: the session is that of an ensemble, whose members see pictures; or the size
                is none.
            RecipeError: a stage cannot work on pictures of this size.
            PluginError: a stage changes the size and does not say how pixels move.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the engine. Calling it again does nothing.

        Calls under way in other threads are finished by the engine, or raise ClosedError.
        """

    @abstractmethod
    def _answer(self, picture: NDArray[np.uint8], place: str) -> Any:
        """The result for `picture`, which messages find at `place`."""

    @abstractmethod
    def _stream(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        pace: Pace,
        every: int,
        origin: Origin | None = None,
    ) -> FilmStream:
        """See `stream`; all that is given was checked. Without an origin it is part of a call."""

    def _answering(self) -> Candidate:
        return self.outcomes[0].candidate

    @property
    def _is_clip(self) -> bool:
        return self.input.batch > 1

    def _followed(self) -> "Streams":
        from edgeprep.runtime.live.streams import Streams

        # NOTE: of two threads that begin a stream at once, one would have streams that no `close`
        # knows of.
        with self._first_stream:
            if self._streams is None:
                self._streams = Streams(self.meter, self._events)
            return self._streams

    def _stop_streams(self) -> None:
        """Let the threads of all streams and answers end, as the session is closed."""
        if os.getpid() != self._pid:
            return
        if self._streams is not None:
            self._streams.stop(self._closed())
        if self._dismiss is not None:
            self._dismiss(self)

    def _check_open(self) -> None:
        if self.closed:
            raise self._closed()

    def _closed(self) -> ClosedError:
        return ClosedError(f"session {self.name!r}: must be open, got a call after close()")

    def _check_process(self) -> None:
        # NOTE: engines keep worker threads, which do not exist in a fork: a call there hangs.
        if os.getpid() != self._pid:
            raise ForkedRunnerError(
                f"session {self.name!r}: must be used in the process that opened it, got a fork; "
                "open it in the child, with multiprocessing's 'spawn'"
            )
