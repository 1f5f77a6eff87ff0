"""The stage `model`: another bundle, such as a denoiser, as a step of the preprocessing."""

from dataclasses import dataclass, field, replace
from io import BytesIO
from threading import Lock
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Variant, read_bundle
from edgeprep.errors import RecipeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import FileStage, Precision, Primitives
from edgeprep.runtime.opening import OpenedBundle, choose, recall
from edgeprep.runtime.outputs import all_finite, refuse
from edgeprep.runtime.session import Session
from edgeprep.stages.levels import whole_levels
from edgeprep.stages.requirements import need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec

__all__ = ["LearnedStage"]

T = TypeVar("T")

# What makes levels of the numbers of each range: a factor, then a sum.
LEVELS = {"0..255": (1.0, 0.0), "0..1": (255.0, 0.0), "-1..1": (127.5, 127.5)}


class _Learned:
    """The bundle of a stage, and the session that runs it once there are pictures.

    It is what interpreters take for a `Network`.
    """

    def __init__(self, content: bytes, opened: OpenedBundle, precision: Precision) -> None:
        self.content = content
        self.name = opened.bundle.manifest.name
        self.input = opened.bundle.manifest.input
        self.chain = opened.chain
        self.variants = [
            variant for variant in opened.bundle.manifest.variants if variant.precision == precision
        ]
        self._opened = opened
        self._precision = precision
        self._session: Session | None = None
        self._lock = Lock()

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the first output."""
        return self.variants[0].outputs[0].shape

    @property
    def whole_graph(self) -> Variant | None:
        """The variant that can be put into another graph, if there is one."""
        for variant in self.variants:
            host, _ = self.chain.cut(variant.placement)
            if (variant.format, variant.precision) == ("onnx", "fp32") and not host.stages:
                return variant
        return None

    @property
    def onnx(self) -> bytes:
        """See `Network.onnx`."""
        if self.whole_graph is None:
            raise RecipeError("needs a graph, got a stage that has none")
        (content,) = self._opened.bundle.model(self.whole_graph).files.values()
        return content

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Network.run`. Where nothing was started, the first engine that is right answers."""
        session = self._session or self.start(probe=False, seconds=0.0)
        return np.concatenate([self._answer(session, picture) for picture in pictures])

    def _answer(self, session: Session, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = session.outputs(picture)[0]
        if not all_finite([output]):
            name = self.variants[0].outputs[0].name
            where = f"stage 'model' with {self.name!r}"
            refuse([output], [name], where=where, by=str(session.choice))
        return output

    def start(self, *, probe: bool, seconds: float) -> Session:
        """The session, opened now if it is not."""
        with self._lock:
            if self._session is None:
                prefer = self._precision
                remembered = recall(self._opened, prefer=prefer, seconds=seconds) if probe else None
                self._session = remembered or choose(
                    self._opened, prefer=prefer, probe=probe, seconds=seconds
                )
            return self._session

    def close(self) -> None:
        """Let go of the engine; another picture would start it again."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()


@dataclass(frozen=True, kw_only=True)
class LearnedStage(FileStage):
    """A network whose output is a picture: a denoiser, a low-light enhancer, super-resolution.

    It gets whole levels, rounded halves up, of the size and colour that its bundle takes, and its
    bundle's preprocessing is a part of it. What it gives is brought to 0..255 and cut off there.
    On the host the device measures which engine runs it fastest, as for any bundle. In a graph, the
    nodes of its ONNX variant are nodes of that graph, and stay in float at every precision.

    Attributes:
        bundle: a `.edgeprep` file, relative to the recipe.
        range: what the numbers of its first output, `(1, C, H, W)`, mean.
        color: what the channels of that output mean; None: as those of its input.
        precision: of the variants that may run, here as on the device, where what was measured at
            conversion has to hold.

    Source: the same in the host and in graphs of three engines, to a level (tests/engines).
    """

    name: ClassVar[str] = "model"
    file: ClassVar[str] = "bundle"

    bundle: str
    range: Literal["0..1", "0..255", "-1..1"] = "0..1"
    color: Literal["rgb", "bgr", "grey"] | None = None
    precision: Precision = "fp32"
    _learned: _Learned | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def learned(self) -> _Learned:
        """The bundle.

        Raises:
            RecipeError: this stage was not `opened`.
        """
        if self._learned is None:
            raise RecipeError(f"needs its bundle read, got {self.bundle!r}; build it by a chain")
        return self._learned

    @property
    def content(self) -> bytes:
        """The bundle, byte for byte."""
        return self.learned.content

    @property
    def host_only(self) -> str:  # type: ignore[override]  # it depends on the bundle
        """Why no graph can hold it; see `Stage`."""
        if self.learned.whole_graph is not None:
            return ""
        return f"{self.bundle!r} has no onnx variant in fp32 with all of its preprocessing inside"

    def opened(self, content: bytes, registry: Any) -> Self:
        """This stage with its bundle read and verified.

        Raises:
            BundleError: `content` is no whole, unchanged bundle.
            RecipeError: its output is no picture, or nothing in it is of that precision.
        """
        opened = OpenedBundle(read_bundle(BytesIO(content), self.bundle), registry)
        learned = _Learned(content, opened, self.precision)
        if not learned.variants:
            known = sorted({variant.precision for variant in opened.bundle.manifest.variants})
            rule = f"must have a variant in {self.precision!r}, as precision says"
            raise RecipeError(f"{self.bundle}: {rule}, got {known!r}")
        stage = replace(self)
        object.__setattr__(stage, "_learned", learned)
        channels = ImageSpec(color=stage.leaves).channels
        if len(learned.shape) != 4 or learned.shape[:2] != (1, channels):
            rule = f"the first output must be a {stage.leaves} picture (1, {channels}, H, W)"
            raise RecipeError(f"{self.bundle}: {rule}, got shape {learned.shape!r}")
        return stage

    @property
    def leaves(self) -> Literal["rgb", "bgr", "grey"]:
        """The colour of what it gives."""
        given = self.learned.input.color
        return self.color or (given if given in ("bgr", "grey") else "rgb")

    def start(self, *, probe: bool, seconds: float) -> None:
        """Choose the engine; see `FileStage.start`."""
        self.learned.start(probe=probe, seconds=seconds)

    def close(self) -> None:
        """Let go of the engine."""
        if self._learned is not None:
            self._learned.close()

    def output(self, image: ImageSpec) -> ImageSpec:
        """Pictures as the network gives them, float32 in 0..255."""
        need_channels_last(image)
        need_range(image, "0..255")
        wanted = self.learned.input
        need_color(image, wanted.color)
        if wanted.is_fixed and (image.height, image.width) != wanted.size:
            got = [image.height, image.width] if image.is_fixed else "a free size"
            remedy = f"put a resize to {list(wanted.size)!r} before it"
            raise RecipeError(f"needs pictures of {list(wanted.size)!r}, got {got!r}; {remedy}")
        if image.light == "linear":
            raise RecipeError("needs levels as screens show them, got linear light; put srgb first")
        _, _, height, width = self.learned.shape
        return image.replace(height=height, width=width, color=self.leaves, dtype="float32")

    def apply(self, F: Primitives[T], x: T, image: ImageSpec) -> T:
        """`(N, H, W, C)`, uint8 or float32, to `(N, height, width, C)`, float32."""
        levels = x if image.dtype == "uint8" else F.cast(whole_levels(F, x, image), "uint8")
        factor, summand = LEVELS[self.range]
        given = F.multiply(F.network(levels, self.learned), factor)
        return F.transpose(F.clip(F.add(given, summand), 0.0, 255.0), (0, 2, 3, 1))

    def backward(self, image: ImageSpec) -> tuple[Affine, ...]:
        """As its preprocessing moves pixels, after its network has kept or stretched them."""
        learned = self.learned
        _, _, height, width = learned.shape
        arrived = learned.chain.output
        stretch = Affine.scaled(
            (arrived.width or width) / width, (arrived.height or height) / height
        )
        return tuple(step.after(stretch) for step in learned.chain.backward(*image.size))
