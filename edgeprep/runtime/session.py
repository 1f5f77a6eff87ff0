"""What an application holds: preprocessing, one loaded candidate, the meaning of its outputs."""

import os
from collections.abc import Iterable
from math import inf
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, EdgePrepError, ForkedRunnerError, InputError
from edgeprep.geometry import Affine
from edgeprep.interfaces import Runner, Task
from edgeprep.runtime.candidates import Candidate, Outcome
from edgeprep.runtime.choose import close
from edgeprep.runtime.explain import explain
from edgeprep.runtime.frames import Frames
from edgeprep.runtime.inputs import check_batch, check_clip
from edgeprep.runtime.memory import zeros
from edgeprep.runtime.outputs import all_finite, refuse
from edgeprep.runtime.stream import PictureStream
from edgeprep.stages.chain import NUMPY, Chain
from edgeprep.stages.picture import check_picture
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.stream import Stream
from edgeprep.tensors import ImageSpec, TensorSpec

__all__ = ["Session"]

# NOTE: the engine of a fork waits for threads that are not there when it is freed: OpenVINO's does
# so for ever. So a fork keeps what it was born with.
_LEFT_BY_PARENTS: list[Runner] = []


class Session:
    """An open bundle on its fastest path. `edgeprep.open` makes it.

    It may be shared between threads. It is closed by `close()` or at the end of a `with` block.

    Attributes:
        name: the bundle's name.
        input: the pictures that it takes; where its `batch` is above 1, that many make a clip.
        task: what makes results of the network's outputs.
        outcomes: what became of every candidate, the chosen one first.
        remembered: whether the choice was measured at an earlier `open`.
    """

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
    ) -> None:
        self.name = name
        self.input = input
        self.task = task
        self.outcomes = outcomes
        self.remembered = remembered
        self._chain = chain
        self._host = host
        self._primitives = primitives
        self._states = states
        self._is_clip = input.batch > 1
        # A clip is a film of its own, whatever preprocessing remembers in it.
        self._remembers = bool(states) or (host.remembers and not self._is_clip)
        self._frames = Frames.for_task(task, chain)
        self._runner: Runner | None = runner
        self._output_names = tuple(output.name for output in runner.outputs)
        self._pid = os.getpid()

    @property
    def choice(self) -> Candidate:
        """The candidate that answers."""
        return self.outcomes[0].candidate

    def __call__(self, picture: NDArray[np.uint8]) -> Any:
        """The task's result for one picture, or one clip.

        Args:
            picture: `(H, W, C)`, or `(frames, H, W, C)` where the network takes clips, uint8, in
                the bundle's colour order (`session.input`). It is not copied where that can be
                helped: if another thread changes it meanwhile, the result is of a mixture of both.

        Raises:
            InputError: the picture is not of that type.
            BackendError: the engine failed.
            NonFiniteOutput: the network's outputs hold NaN or infinity.
            ClosedError: the session is closed.
            ForkedRunnerError: this process is a fork of the one that opened the session.
        """
        return self._result(picture, self._prepare(picture), "")

    def batch(self, pictures: Iterable[NDArray[np.uint8]]) -> tuple[Any, ...]:
        """The results for several pictures, or for an array of `(N, H, W, C)`, in their order.

        All pictures are checked before the first one runs. Clips come in a list.

        Raises:
            InputError: `pictures` are not pictures of that type. The rest as for one picture.
        """
        check = check_clip if self._is_clip else check_picture
        checked = [check(picture, self.input) for picture in check_batch(pictures)]
        return tuple(
            self._result(picture, self._prepare(picture), f": pictures[{index}]")
            for index, picture in enumerate(checked)
        )

    def stream(
        self, pictures: Iterable[NDArray[np.uint8]], *, fps: float | None = None, every: int = 1
    ) -> PictureStream:
        """The results for the pictures of one camera or film, in their order, as they come.

        What preprocessing and network remember of earlier pictures is that of this call alone:
        several streams may run at once, and `reset()` makes one forget.

        Args:
            pictures: `(H, W, C)` each, uint8, all of one size where earlier ones are looked at.
            fps: how many come in a second; None: unknown.
            every: of a network that takes clips, after how many more pictures it looks at the
                last ones again.

        Returns:
            An iterator of one result a picture; None for pictures that the stage `frames` drops,
            and where a clip is not yet full.

        Raises:
            InputError: `pictures` are not several, `fps` is not above 0, or `every` is below 1, or
                above it though the network takes no clips. The stream raises as for one picture,
                of the picture that is next.
        """
        if fps is not None and not (isinstance(fps, (int, float)) and 0 < fps < inf):
            raise InputError(f"fps: must be above 0 and finite, got {fps!r}")
        if not isinstance(every, int) or every < 1:
            raise InputError(f"every: must be a whole number from 1, got {every!r}")
        if every > 1 and not self._is_clip:
            remedy = "the stage 'frames' drops pictures"
            rule = "must be 1 where the network takes one picture at a time"
            raise InputError(f"every: {rule}, got {every!r}; {remedy}")
        return PictureStream(
            check_batch(pictures),  # type: ignore[arg-type]  # each is checked when it comes
            begin=self._begin,
            check=self._check_usable,
            answer=self._next,
            states=zeros(self._states),
            window=self.input.batch,
            every=every,
            fps=fps,
        )

    def outputs(self, picture: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        """The network's outputs for one picture, each with a first axis of length 1.

        They are the engine's numbers as they are; NaN and infinity may be among them.
        """
        return self._run(self._prepare(picture))

    def explain(self) -> str:
        """A table of all candidates: the winner, the losers, and why; then what else was chosen."""
        table = explain(self.outcomes, name=self.name, remembered=self.remembered)
        return "\n".join((table, *self._host.explain()))

    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """Where in a picture of this size, in pixels, the pixels are from that the network sees.

        Returns:
            A map for each picture that the preprocessing makes of one, nearly always one:
            `backward(720, 1280)[0].boxes(boxes)` brings boxes of the network's picture back.

        Raises:
            RecipeError: a stage cannot work on pictures of this size.
            PluginError: a stage changes the size and does not say how pixels move.
        """
        return self._chain.backward(height, width)

    def close(self) -> None:
        """Let go of the engine. Calling it again does nothing.

        Calls under way in other threads are finished by the engine, or raise ClosedError.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._host.close()
        if os.getpid() == self._pid:
            close(runner)
        else:
            _LEFT_BY_PARENTS.append(runner)

    def _begin(self) -> Stream:
        """What prepares the pictures of one film."""
        return Stream(self._host, self._primitives)

    def _prepare(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._check_usable()
        if self._remembers:
            who = "network remembers" if self._states else "preprocessing looks at"
            raise InputError(
                f"session {self.name!r}: pictures must come in a stream, as the {who} "
                "earlier ones, got one alone; use session.stream(pictures)"
            )
        if self._is_clip:
            return self._prepare_clip(check_clip(picture, self.input))
        return self._host.prepare(picture, self._primitives)

    def _prepare_clip(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stream = Stream(self._host, self._primitives)
        prepared = [stream.prepare(frame) for frame in frames]
        kept = [frame for frame in prepared if frame is not None]
        if len(kept) < len(frames):
            rule = f"session {self.name!r}: the preprocessing must keep every frame of a clip"
            raise InputError(f"{rule}, got {len(kept)} of {len(frames)}; use session.stream")
        return np.concatenate(kept)

    def _result(self, picture: NDArray[np.uint8], prepared: NDArray[np.uint8], place: str) -> Any:
        return self._next(picture, prepared, (), place)[0]

    def _next(
        self,
        picture: NDArray[np.uint8],
        prepared: NDArray[np.uint8],
        states: tuple[NDArray[Any], ...],
        place: str,
    ) -> tuple[Any, tuple[NDArray[Any], ...]]:
        """The result, and the states after it."""
        outputs = self._run(prepared, *states)
        self._check_finite(outputs, place)
        answers = len(outputs) - len(states)
        frame = None
        if self._frames:
            # Of a clip, results lie in the last frame.
            frame = self._frames.of(picture[-1] if picture.ndim == 4 else picture)
        return self.task.decode(outputs[:answers], frame), outputs[answers:]

    def _check_finite(self, outputs: tuple[NDArray[Any], ...], place: str) -> None:
        if not all_finite(outputs):
            where = f"session {self.name!r}{place}"
            refuse(outputs, self._output_names, where=where, by=str(self.choice))

    def _run(self, prepared: NDArray[np.uint8], *states: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        runner = self._check_usable()
        try:
            return runner.run((prepared, *states))
        except EdgePrepError:
            raise
        except Exception as error:  # a backend is a plugin's code and may raise anything
            raise BackendError(
                f"session {self.name!r}: {self.choice} must run, "
                f"got {type(error).__name__}: {error}"
            ) from error

    def _check_usable(self) -> Runner:
        runner = self._runner
        if runner is None:
            raise ClosedError(f"session {self.name!r}: must be open, got a call after close()")
        # NOTE: engines keep worker threads, which do not exist in a fork: a call there hangs.
        if os.getpid() != self._pid:
            raise ForkedRunnerError(
                f"session {self.name!r}: must be used in the process that opened it, got a fork; "
                "open it in the child, with multiprocessing's 'spawn'"
            )
        return runner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
