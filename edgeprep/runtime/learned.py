"""The stage `model`: another bundle, such as a denoiser, as a step of the preprocessing."""

from dataclasses import dataclass, field, replace
from io import BytesIO
from threading import Lock
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.bundle import Variant, read_bundle
from edgeprep.errors import ClosedError, NoUsableBackend, PreferenceError, RecipeError
from edgeprep.geometry import Affine
from edgeprep.interfaces import FileStage, Precision, Primitives
from edgeprep.registry import default_registry
from edgeprep.runtime.network_session import NetworkSession
from edgeprep.runtime.opened import OpenedBundle
from edgeprep.runtime.opening import recall_or_choose
from edgeprep.runtime.outputs import all_finite, refuse
from edgeprep.schema import to_table
from edgeprep.stages.levels import whole_levels
from edgeprep.stages.requirements import need_channels_last, need_color, need_range
from edgeprep.tensors import ImageSpec, TensorSpec

__all__ = ["LearnedStage"]

T = TypeVar("T")

# What makes levels of the numbers of each range: a factor, then a sum.
LEVELS = {"0..255": (1.0, 0.0), "0..1": (255.0, 0.0), "-1..1": (127.5, 127.5)}


class _Learned:
    """The bundle of a stage, and the session that runs it once there are pictures.

    It is what interpreters take for a `Network`.
    """

    def __init__(self, content: bytes, opened: OpenedBundle) -> None:
        self.content = content
        self.name = opened.bundle.manifest.name
        self.input = opened.bundle.manifest.input
        self.chain = opened.chain
        self._opened = opened
        self._session: NetworkSession | None = None
        self._is_closed = False
        self._lock = Lock()

    @property
    def first_output(self) -> TensorSpec:
        """What counts of all that the network gives."""
        return self._opened.variants[0].outputs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(1, C, H, W)`, of that output."""
        return self.first_output.shape

    @property
    def whole_graph(self) -> Variant | None:
        """The variant that can be put into another graph, if there is one."""
        for variant in self._opened.variants:
            host, _ = self.chain.cut(variant.placement)
            if (variant.format, variant.precision) == ("onnx", "fp32") and not host.stages:
                return variant
        return None

    @property
    def onnx(self) -> bytes:
        """See `Network.onnx`."""
        if self.whole_graph is None:
            rule = "must have an onnx variant in fp32 with all of its preprocessing inside"
            raise RecipeError(f"bundle {self.name!r}: {rule}, got none")
        (content,) = self._opened.bundle.model(self.whole_graph).files.values()
        return content

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Network.run`. Where nothing was started, the first engine that is right answers.

        Raises:
            ClosedError: it was closed, and not started again.
        """
        session = self._session or self._open(prefer=None, probe=False, seconds=0.0)
        return np.concatenate([self._answer(session, picture) for picture in pictures])

    def _answer(self, session: NetworkSession, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = session.outputs(picture)[0]
        if not all_finite([output]):
            where = f"stage 'model' with {self.name!r}"
            refuse([output], [self.first_output.name], where=where, by=str(session.choice))
        return output

    def attend(self, bundle: OpenedBundle) -> None:
        """Tell of faults as `bundle` does, whose step this is."""
        opened = self._opened
        opened.events, opened.strict, opened.recheck = bundle.events, bundle.strict, bundle.recheck
        opened.isolate(bundle.isolation.where, bundle.isolation.limits)
        opened.member = "/".join(filter(None, (bundle.member, self.name)))

    def start(self, *, prefer: str | None, probe: bool, seconds: float) -> None:
        """Choose the engine, unless that is done."""
        self._is_closed = False
        self._open(prefer=prefer, probe=probe, seconds=seconds)

    def _open(self, *, prefer: str | None, probe: bool, seconds: float) -> NetworkSession:
        with self._lock:
            session = self._session
            if session is None and not self._is_closed:
                session = self._session = self._chosen(prefer, probe=probe, seconds=seconds)
            if session is None or self._is_closed:  # by another thread, meanwhile
                self.close()
                where = f"stage 'model' with {self.name!r}"
                raise ClosedError(f"{where}: must be open, got a picture after close()")
            return session

    def _chosen(self, prefer: str | None, *, probe: bool, seconds: float) -> NetworkSession:
        try:
            return recall_or_choose(self._opened, prefer=prefer, probe=probe, seconds=seconds)
        except (PreferenceError, NoUsableBackend):
            if prefer is None:
                raise
            # What the other bundle was asked for is nothing that this one has.
            return self._chosen(None, probe=probe, seconds=seconds)

    def explain(self) -> str:
        """Which engine answers; "" where none was started."""
        if self._session is None:
            return ""
        chosen, now = self._session.outcomes[0], self._session.choice
        if now != chosen.candidate:
            return f"model {self.name!r}: now {now} answers; see health() and events"
        return f"model {self.name!r}: {chosen.candidate}, {chosen.reason}"

    def close(self) -> None:
        """Let go of the engine, for good unless it is started again."""
        # NOTE: without the lock, which a fork may have caught while it was held.
        self._is_closed = True
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
    _digest: str = field(default="", init=False, repr=False)  # two bundles may have one path
    _learned: _Learned | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def learned(self) -> _Learned:
        """The bundle.

        Raises:
            RecipeError: this stage was not `opened`.
        """
        if self._learned is None:
            raise RecipeError(f"needs its bundle opened, got {self.bundle!r}; build it by a chain")
        return self._learned

    def __reduce__(self) -> tuple[Any, ...]:
        """The fields and the bundle: engines do not travel, and are looked up anew."""
        return _again, (to_table(self), self._learned and self._learned.content)

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
        bundle = read_bundle(BytesIO(content), self.bundle)
        if any(
            str(table.get("use")).partition("@")[0] == self.name for table in bundle.manifest.chain
        ):
            rule = f"must be a bundle without a stage {self.name!r} of its own, got one"
            raise RecipeError(f"{self.bundle}: {rule}; put that stage before this one")
        opened = OpenedBundle(bundle, registry, precision=self.precision)
        stage = replace(self)
        object.__setattr__(stage, "_learned", _Learned(content, opened))
        object.__setattr__(stage, "_digest", bundle.digest)
        stage._check()
        return stage

    def _check(self) -> None:
        """Refuse a bundle that does not make one picture of one picture."""
        output, channels = self.learned.first_output, ImageSpec(color=self.leaves).channels
        rule = f"the first output must be a {self.leaves} picture, float32 (1, {channels}, H, W)"
        if len(output.shape) != 4 or output.shape[:2] != (1, channels) or output.dtype != "float32":
            raise RecipeError(f"{self.bundle}: {rule}, got {output.dtype} {output.shape!r}")
        if self.learned.chain.remembers:
            rule = "must be a bundle that takes pictures one by one, got one for streams"
            raise RecipeError(f"{self.bundle}: {rule}; put its stages over time into this recipe")

    @property
    def leaves(self) -> Literal["rgb", "bgr", "grey"]:
        """The colour of what it gives."""
        given = self.learned.input.color
        return self.color or (given if given in ("bgr", "grey") else "rgb")

    def attend(self, bundle: OpenedBundle) -> None:
        """Tell of faults as `bundle` does; see `FileStage.attend`."""
        self.learned.attend(bundle)

    def start(self, *, prefer: str | None, probe: bool, seconds: float) -> None:
        """Choose the engine; see `FileStage.start`."""
        self.learned.start(prefer=prefer, probe=probe, seconds=seconds)

    def explain(self) -> str:
        """Which engine answers; see `FileStage.explain`."""
        return self.learned.explain()

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


def _again(table: dict[str, Any], content: bytes | None) -> LearnedStage:
    stage = LearnedStage(**table)
    return stage if content is None else stage.opened(content, default_registry())
