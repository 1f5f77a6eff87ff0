"""What every step of preprocessing is, and the kinds of steps that need more than a picture."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from edgeprep.errors import PluginError, RecipeError
from edgeprep.geometry import IDENTITY, Affine
from edgeprep.interfaces.primitives import Primitives
from edgeprep.tensors import ImageSpec

if TYPE_CHECKING:  # numpy loads its generators late, and a device needs none
    import numpy as np

__all__ = ["FileStage", "RandomStage", "Stage", "StreamStage"]

T = TypeVar("T")


class Stage(ABC):
    """One preprocessing step, defined once and interpreted by numpy, torch and a graph builder.

    Implementations are frozen dataclasses; their fields are the keys of the recipe's table.

    Attributes:
        name: what recipes call it.
        version: goes up when a released stage has to compute something else.
        host_only: why no graph can hold it; empty for all others.
        training_only: whether it varies pictures for training, and has no place in a bundle.
        looks_everywhere: whether what becomes of a pixel depends on the whole picture, as its least
            and greatest values do: a tile of a picture then becomes something else.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    host_only: ClassVar[str] = ""
    training_only: ClassVar[bool] = False
    looks_everywhere: ClassVar[bool] = False

    @property
    def host_primitives(self) -> tuple[str, ...]:
        """The primitives in `apply` that another library of the host may compute; here none.

        Where OpenCV is installed and quicker, a stage that names some is applied with an `F` that
        leaves them to it. Its `resize_linear` rounds: what is uint8 stays uint8, so that `apply`
        has to work on that, too.
        """
        return ()

    @abstractmethod
    def output(self, image: ImageSpec) -> ImageSpec:
        """The type of the pictures that leave, given the type that arrives.

        Raises:
            RecipeError: this stage cannot work on such pictures. The message is the rule alone,
                ``needs values in 0..255, got 'normalized'; …``; the chain adds the path.
        """

    @abstractmethod
    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """The definition: `x`, of type `image` and shape `(N, H, W, C)`, to what leaves."""

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """Where in a picture of type `image`, of one size, the pixels are from that leave.

        A map of points for each picture that it becomes, nearly always one. Here nothing moves;
        stages that move pixels say how.

        Raises:
            PluginError: the size changes, so that this stage has to say how pixels move.
        """
        leaving = self.output(image)
        arrived, left = ((each.height, each.width, each.batch) for each in (image, leaving))
        if arrived != left:
            raise PluginError(
                f"stage {self.name!r}: must say by backward() how pixels move, got none from "
                f"{list(arrived[:2])!r} to {list(left[:2])!r} pixels"
            )
        return (IDENTITY,)


class FileStage(Stage):
    """A step that needs a file beside the recipe; the file travels in the bundle.

    Attributes:
        file: the field that holds its path, relative to the recipe; in a bundle, a member's name.
    """

    file: ClassVar[str]

    @property
    @abstractmethod
    def content(self) -> bytes:
        """What is in the file, once this step is `opened`."""

    @abstractmethod
    def opened(self, content: bytes, registry: Any) -> Self:
        """This step with what is in its file.

        Args:
            content: the whole file, verified where it comes from a bundle.
            registry: where the plugins are looked up that it needs.

        Raises:
            EdgePrepError: it is no file that this step can use.
        """

    def attend(self, bundle: Any) -> None:
        """Take over what `edgeprep.open` was told of faults, before `start`.

        Args:
            bundle: whose step this is; its `events` are told what happens, and it has `strict`,
                `recheck` and `member`, as the runtime's `OpenedBundle` says.
        """

    def start(self, *, prefer: str | None, probe: bool, seconds: float) -> None:
        """Get ready for pictures on this machine, with the wishes of `edgeprep.open`."""

    def explain(self) -> str:
        """How it runs here, once it is started, for `Session.explain`; "" where that is plain."""
        return ""

    def close(self) -> None:
        """Let go of what was started. It may be called again, and `start` after it."""


class StreamStage(Stage):
    """A step that looks at the pictures before this one, too.

    Where a picture stands alone, as a photograph does, it is the first of its stream.
    """

    host_only: ClassVar[str] = "it remembers earlier pictures"

    @abstractmethod
    def step(
        self, F: Primitives[T], x: T, image: ImageSpec, memory: Any, time_s: float | None
    ) -> tuple[T | None, Any]:
        """One picture further.

        Args:
            F: the interpreter.
            x: `(N, H, W, C)`, the pictures of N streams at one moment.
            image: their type.
            memory: what the step before this one returned; None for the first.
            time_s: when the picture was taken, in seconds from any moment on; None where nobody
                knows.

        Returns:
            The pictures that leave, None to drop them; and what the next step has to know.
        """

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`x` as the first pictures of their streams."""
        answer = self.step(F, x, image, None, 0.0)
        return x if answer[0] is None else answer[0]


class RandomStage(Stage):
    """A step that varies pictures for training: a choice among steps that do not.

    It never gets into a bundle or a graph; `edgeprep.train` draws from it for every picture.
    """

    training_only: ClassVar[bool] = True

    @abstractmethod
    def draw(self, generator: "np.random.Generator", image: ImageSpec) -> tuple[Stage, ...]:
        """What one picture goes through this time, one after the other; () leaves it as it is.

        All draws leave what `output` says, but for the dtype, to which the caller brings them.

        Args:
            generator: where all chance comes from, so that its seed decides.
            image: the type of the picture, of known size, that `output` accepts.
        """

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """Refused: there is nothing to apply before a draw."""
        raise self._undrawn("apply()")

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """Refused: a draw says how pixels move."""
        raise self._undrawn("backward()")

    def _undrawn(self, got: str) -> RecipeError:
        return RecipeError(
            f"{self.name}: must be drawn anew for every picture, got {got}; it varies pictures "
            "for training, by edgeprep.train, and is never exported"
        )
