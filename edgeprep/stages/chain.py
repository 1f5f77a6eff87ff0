"""Stages in order: checked when built, cut between host and graph, run by any interpreter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import RecipeError
from edgeprep.geometry import IDENTITY, Affine, Frame
from edgeprep.interfaces import FileStage, Placement, Primitives, Stage, StreamStage
from edgeprep.schema import to_table
from edgeprep.stages.cut import PlacementChoice, cut_position
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.named import Files, StageRegistry, build_stage
from edgeprep.stages.picture import check_picture, to_levels
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

if TYPE_CHECKING:  # a device has no recipes, and reads no TOML
    from edgeprep.recipe import Recipe

__all__ = ["Chain"]

T = TypeVar("T")

NUMPY = NumpyPrimitives()
# Each is a copy in memory, also where a crafted bundle names one file again and again.
MOST_FILES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Preprocessing from a picture to what the network takes.

    Attributes:
        input: the type of the pictures that arrive.
        stages: the steps, in order.
        images: the type of the pictures before each stage, and after the last one.

    Raises:
        RecipeError: a stage cannot work on what arrives at it.
    """

    input: ImageSpec
    stages: tuple[Stage, ...]
    images: tuple[ImageSpec, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        images = [self.input]
        for index, stage in enumerate(self.stages):
            images.append(_output(stage, images[-1], f"preprocess[{index}]"))
            if self.input.batch > 1 and images[-1].batch != self.input.batch:
                rule = f"{stage.name} must make one picture of one in clips"
                made = images[-1].batch // self.input.batch
                raise RecipeError(f"preprocess[{index}]: {rule}, got {made}")
        object.__setattr__(self, "images", tuple(images))

    @property
    def output(self) -> ImageSpec:
        """The type of what leaves the last stage."""
        return self.images[-1]

    @property
    def steps(self) -> "zip[tuple[Stage, ImageSpec]]":
        """Each stage with the type of the pictures that arrive at it."""
        return zip(self.stages, self.images, strict=False)

    @property
    def remembers(self) -> bool:
        """Whether a stage looks at earlier pictures: such a chain is run by a `Stream`."""
        return any(isinstance(stage, StreamStage) for stage in self.stages)

    @classmethod
    def build(
        cls,
        tables: Sequence[Mapping[str, object]],
        *,
        input: ImageSpec,
        registry: StageRegistry,
        files: Files | None = None,
        where: str = "preprocess",
    ) -> Self:
        """The chain that a recipe describes, one table a stage.

        A network takes float32, and its channels first: a `dtype` and a `layout` stage are added
        at the end where the tables do not say otherwise.

        Args:
            tables: one a stage.
            input: the type of the pictures that arrive.
            registry: where stages are looked up.
            files: reads what stages ask for by name; None: there are no files.
            where: the path of the tables, for messages.

        Raises:
            RecipeError: a table is wrong, or a stage cannot work on what arrives at it. The
                message starts with the path, such as ``preprocess[1]``.
        """
        stages: list[Stage] = []
        image = input
        for index, table in enumerate(tables):
            path = f"{where}[{index}]"
            stages.append(_for_all(build_stage(table, registry, path, files), table["use"], path))
            if sum(isinstance(stage, FileStage) for stage in stages) > MOST_FILES:
                rule = f"must be among at most {MOST_FILES} stages with files"
                raise RecipeError(f"{path}: {rule}, got more")
            image = _output(stages[-1], image, path)
        if image.dtype != "float32":
            stages.append(DType(to="float32"))
        if not any(isinstance(stage, Layout) for stage in stages):
            stages.append(Layout(to="nchw"))
        return cls(input=input, stages=tuple(stages))

    def to_tables(self) -> tuple[dict[str, object], ...]:
        """The stages as tables, ready for JSON; `build` reads them back."""
        return tuple(
            {"use": f"{stage.name}@{stage.version}", **to_table(stage)} for stage in self.stages
        )

    @classmethod
    def of_recipe(cls, recipe: "Recipe", registry: StageRegistry) -> Self:
        """The preprocessing of `recipe`, with the files that its stages name.

        Raises:
            RecipeError: as `build` says, or such a file cannot be used.
        """
        return cls.build(
            recipe.preprocess, input=recipe.input.image, registry=registry, files=recipe.read
        )

    def packed(self) -> tuple[tuple[dict[str, object], ...], dict[str, bytes]]:
        """The tables as a bundle has them, and the members that they name."""
        tables, members = self.to_tables(), {}
        for index, stage in enumerate(self.stages):
            if isinstance(stage, FileStage):
                name = f"chain/{index}-{stage.name}"
                tables[index][stage.file], members[name] = name, stage.content
        return tables, members

    def attend(self, bundle: Any) -> None:
        """Tell stages whose steps they are; see `FileStage.attend`."""
        for stage in self._file_stages():
            stage.attend(bundle)

    def start(self, *, prefer: str | None, probe: bool, seconds: float) -> None:
        """Get stages ready that need it before their first picture; see `FileStage.start`."""
        for stage in self._file_stages():
            stage.start(prefer=prefer, probe=probe, seconds=seconds)

    def explain(self) -> tuple[str, ...]:
        """A line for each stage that was started: how it runs here."""
        lines = (
            (index, stage.explain())
            for index, stage in enumerate(self.stages)
            if isinstance(stage, FileStage)
        )
        return tuple(f"preprocess[{index}] {line}" for index, line in lines if line)

    def close(self) -> None:
        """Let go of what stages have started."""
        for stage in self._file_stages():
            stage.close()

    def _file_stages(self) -> list[FileStage]:
        return [stage for stage in self.stages if isinstance(stage, FileStage)]

    def need_fixed_size(self) -> None:
        """Refuse a chain that takes pictures of any size.

        Raises:
            RecipeError: the height or width of the input is free.
        """
        if not self.input.is_fixed:
            raise RecipeError(
                "preprocess: a graph needs pictures of one size, got a free size; "
                "set input.size, or place the resize on the host by placement = 'split'"
            )

    def cut(self, placement: PlacementChoice) -> tuple[Self, Self]:
        """What runs on the host, and what runs in the graph.

        The graph takes uint8 pictures of one size, with values in 0..255 and channels last; of
        clips, all frames at once, which the host prepares one by one.
        "graph" cuts before the first stage; "split" where the size has become what it stays;
        "host" as late as pictures are still such pictures.

        Raises:
            RecipeError: there is no such cut, or `placement` is "auto", which is a choice among
                cuts (see `placements`).
        """
        position = cut_position(self, placement)
        arriving = self.images[position].replace(dtype="uint8")
        # A host prepares frame by frame: of the clips of a camera, most frames are known.
        host = type(self)(input=self.input.replace(batch=1), stages=self.stages[:position])
        graph = type(self)(input=arriving, stages=self.stages[position:])
        if graph.output.dtype != self.output.dtype:
            # The stage that made float32 of the pictures is on the host now.
            graph = type(self)(input=arriving, stages=(DType(to="float32"), *graph.stages))
        return host, graph

    def placements(self, placement: PlacementChoice) -> tuple[Placement, ...]:
        """The cuts worth packing: `placement` itself, or for "auto" all that differ."""
        if placement != "auto":
            cut_position(self, placement)
            return (placement,)
        names: list[Placement] = ["graph", "split", "host"]
        if not self.input.is_fixed or any(stage.host_only for stage in self.stages):
            names.remove("graph")
        positions: dict[int, Placement] = {}
        for name in names:
            positions.setdefault(cut_position(self, name), name)
        return tuple(positions.values())

    def apply(self, F: Primitives[T], x: T) -> T:
        """`(N, H, W, C)` through all stages, in any interpreter."""
        for stage, image in self.steps:
            x = stage.apply(F, x, image)
        return x

    def backward(self, height: int, width: int) -> tuple[Affine, ...]:
        """Where in a camera's picture of this size the pixels are from that leave the last stage.

        Returns:
            A map of points, in pixels, for each picture that leaves, nearly always one. Its
            `boxes` brings what a network detects back into the camera's picture.

        Raises:
            RecipeError: a stage cannot work on pictures of this size.
            PluginError: a stage changes the size and does not say how pixels move.
        """
        camera = self.input.replace(height=height, width=width)
        chain = type(self)(input=camera, stages=self.stages)
        maps: tuple[Affine, ...] = (IDENTITY,)
        for stage, image in chain.steps:
            steps = stage.backward(image)
            maps = tuple(earlier.after(step) for earlier in maps for step in steps)
        return maps

    def frame(self, height: int, width: int) -> Frame:
        """Where in a camera's picture of this size the network looks, for tasks that are spatial.

        Raises: see `backward`.
        """
        camera = self.input.replace(height=height, width=width)
        seen = type(self)(input=camera, stages=self.stages).output.size
        return Frame(height, width, seen, self.backward(height, width))

    def prepare(
        self, picture: NDArray[np.uint8], primitives: NumpyPrimitives = NUMPY
    ) -> NDArray[np.uint8]:
        """One picture through a chain that a host runs, as the graph takes it.

        Args:
            picture: `(H, W, C)`, uint8, of the chain's input size and colour order.
            primitives: numpy's, or those of a library that does some of them quicker.

        Returns:
            `(1, height, width, C)`, or as many as the chain makes of one; uint8, C-contiguous;
            values are rounded, halves up. A view of `picture` where there is nothing to do.

        Raises:
            DTypeError: `picture` is no array of uint8.
            ShapeError: `picture` has another shape, or is too small or large for a stage.
            ImageTooLarge: `picture` would grow beyond all measure.
        """
        x: NDArray[Any] = check_picture(picture, self.input)[None]
        for stage, image in self.steps:
            x = primitives.run(stage, x, image)
        return to_levels(x)


def _for_all(stage: Stage, name: object, path: str) -> Stage:
    """`stage`, unless it varies pictures."""
    if stage.training_only:
        raise RecipeError(
            f"{path}.use: must be a stage that every picture goes through alike, got {name!r}, "
            "which varies pictures for training and is never exported; put it under [[augment]]"
        )
    return stage


def _output(stage: Stage, image: ImageSpec, path: str) -> ImageSpec:
    try:
        return stage.output(image)
    except RecipeError as error:
        raise RecipeError(f"{path}: {stage.name} {error}") from error
