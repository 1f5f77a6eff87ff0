"""Pictures cut into tiles, and tiles joined to pictures."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from edgeprep.errors import RecipeError, ShapeError
from edgeprep.interfaces import Stage
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.stages.tile import Tile, untile
from edgeprep.tensors import ImageSpec

NUMPY = NumpyPrimitives()
# 3 by 2 tiles; 5 + 3 + 3 rows and 6 + 5 columns.
TILE = Tile(size=(5, 6), overlap=(2, 1))
IMAGE = ImageSpec(height=11, width=11)


@dataclass(frozen=True, kw_only=True)
class Rejoin(Stage):
    """Into tiles, through a network that changes nothing, and back."""

    name: ClassVar[str] = "rejoin"
    tile: Tile

    def output(self, image: ImageSpec) -> ImageSpec:
        self.tile.output(image)
        return image.replace(dtype="float32")

    def apply(self, F, x, image):
        return untile(F, self.tile.apply(F, x, image), self.tile, image)


def slices_of(picture):
    return [picture[top : top + 5, left : left + 6] for top in (0, 3, 6) for left in (0, 5)]


def test_an_engine_cuts_tiles_row_by_row(engine, noise):
    picture = noise(11, 11)
    result = engine(Chain(input=IMAGE, stages=(TILE, DType())), picture)
    assert np.array_equal(result, np.stack(slices_of(picture)))


def test_the_stages_after_it_see_a_batch(engine, noise):
    picture = noise(11, 11)
    stages = (TILE, Resize(size=(7, 3)), Normalize(mean=(0.5,) * 3, std=(0.5,) * 3), Layout())
    chain = Chain(input=IMAGE, stages=stages)
    result = engine(chain, picture)
    assert result.shape == chain.output.shape() == (6, 3, 7, 3)
    for index, tile in enumerate(slices_of(picture)):
        alone = Chain(input=ImageSpec(height=5, width=6), stages=stages[1:])
        assert np.abs(result[index] - engine(alone, tile)[0]).max() <= 1e-5


def test_the_tiles_of_a_batch_stay_together(noise):
    batch = np.stack([noise(11, 11), noise(11, 11)])
    result = TILE.apply(NUMPY, batch, IMAGE)
    assert np.array_equal(result, np.stack([*slices_of(batch[0]), *slices_of(batch[1])]))
    assert np.array_equal(untile(NUMPY, result, TILE, IMAGE), batch)


@pytest.mark.parametrize(
    ("tile", "size"),
    [
        pytest.param(TILE, (11, 11), id="overlap"),
        pytest.param(Tile(size=(4, 3)), (8, 9), id="none"),
        pytest.param(Tile(size=(9, 7)), (9, 7), id="one tile"),
        pytest.param(Tile(size=(6, 5), overlap=(4, 3)), (12, 11), id="three deep"),
        pytest.param(Tile(size=(4, 4), overlap=3), (7, 9), id="every pixel"),
        pytest.param(Tile(size=(1, 1)), (3, 2), id="pixels"),
    ],
)
def test_an_engine_joins_the_same_picture_again(engine, noise, tile, size):
    picture = noise(*size)
    chain = Chain(input=ImageSpec(height=size[0], width=size[1]), stages=(Rejoin(tile=tile),))
    assert np.array_equal(engine(chain, picture)[0], picture)


def test_litert_cuts_and_joins(litert, noise):
    picture = noise(11, 11)
    chain = Chain(input=IMAGE, stages=(Rejoin(tile=TILE), Tile(size=(5, 6), overlap=(2, 1))))
    assert np.array_equal(litert(chain, picture), np.stack(slices_of(picture)))


def test_a_constant_network_gives_a_constant_picture():
    tiles = np.full((6, 5, 6, 2), 0.1, np.float32)
    assert np.unique(untile(NUMPY, tiles, TILE, IMAGE)) == np.float32(0.1)


def test_one_tile_fades_into_the_next():
    """They share 2 columns, whose centres are 1.5 and 0.5 pixels from the end of the first."""
    tiles = np.stack([np.zeros((1, 4, 1)), np.ones((1, 4, 1))]).astype(np.float32)
    stage, image = Tile(size=(1, 4), overlap=(0, 2)), ImageSpec(height=1, width=6)
    joined = untile(NUMPY, tiles, stage, image)
    assert joined[0, 0, :, 0].tolist() == [0, 0, 0.25, 0.75, 1, 1]


def test_rows_fade_as_columns():
    rng = np.random.default_rng(3)
    tiles = rng.random((6, 5, 6, 2), np.float32)
    turned = tiles.reshape(3, 2, 5, 6, 2).transpose(1, 0, 3, 2, 4).reshape(6, 6, 5, 2)
    across = untile(NUMPY, turned, Tile(size=(6, 5), overlap=(1, 2)), IMAGE)
    down = untile(NUMPY, tiles, TILE, IMAGE)
    assert np.abs(across.transpose(0, 2, 1, 3) - down).max() <= 1e-6


def test_there_is_no_seam():
    """Tiles of different brightness give no step larger than their difference over the overlap."""
    stage, image = Tile(size=(32, 32), overlap=16), ImageSpec(height=96, width=80)
    tiles = np.arange(20, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((1, 32, 32, 1))
    joined = untile(NUMPY, tiles, stage, image)[0, ..., 0]
    assert joined.shape == (96, 80)
    # From one column of tiles to the next it is 1, from one row to the next 4.
    assert np.abs(np.diff(joined, axis=1)).max() <= 1 / 16 + 1e-6
    assert np.abs(np.diff(joined, axis=0)).max() <= 4 / 16 + 1e-5


def test_a_graph_takes_the_picture_and_not_the_tiles():
    chain = Chain(input=IMAGE, stages=(Resize(size=(11, 11)), TILE, Layout()))
    for placement in ("split", "host"):
        host, graph = chain.cut(placement)
        assert host.stages == chain.stages[:1]
        assert graph.input.shape() == (1, 11, 11, 3)
        assert graph.output.shape() == (6, 3, 5, 6)


def test_frames_of_a_clip_are_not_cut_into_tiles():
    with pytest.raises(RecipeError, match="preprocess") as caught:
        Chain(input=IMAGE.replace(batch=4), stages=(Resize(size=(11, 11)), TILE))
    assert str(caught.value) == ("preprocess[1]: tile must make one picture of one in clips, got 6")


def test_a_host_prepares_a_clip_frame_by_frame():
    chain = Chain(input=IMAGE.replace(batch=4), stages=(Resize(size=(11, 11)), Layout()))
    host, graph = chain.cut("split")
    assert host.input.shape() == IMAGE.shape()
    assert graph.input.shape() == (4, 11, 11, 3)
    assert graph.output.shape() == (4, 3, 11, 11)


@pytest.mark.parametrize(
    ("tile", "image", "message"),
    [
        pytest.param(
            TILE,
            ImageSpec(height=11),
            (
                "needs pictures of one size, got a free size; "
                "put a resize, or a pad with a size, before this stage"
            ),
            id="free size",
        ),
        pytest.param(
            Tile(size=(224, 224), overlap=32),
            ImageSpec(height=480, width=640),
            (
                "needs pictures that tiles of [224, 224] pixels with overlap [32, 32] cover "
                "exactly, got [480, 640]; use overlap [96, 16], or pad to [608, 800] first"
            ),
            id="does not divide",
        ),
        pytest.param(
            Tile(size=(224, 224)),
            ImageSpec(height=448, width=450),
            (
                "needs pictures that tiles of [224, 224] pixels with overlap [0, 0] cover "
                "exactly, got [448, 450]; use overlap [0, 111], or pad to [448, 672] first"
            ),
            id="one axis",
        ),
        pytest.param(
            Tile(size=(5, 5)),
            ImageSpec(height=4, width=6),
            (
                "needs pictures that tiles of [5, 5] pixels with overlap [0, 0] cover exactly, "
                "got [4, 6]; pad to [5, 10] first"
            ),
            id="too small",
        ),
        pytest.param(
            Tile(size=(512, 512), overlap=511),
            ImageSpec(height=1024, width=512),
            (
                "must make at most 67108864 pixels, got 513 tiles of [512, 512]; "
                "use a smaller overlap"
            ),
            id="too many",
        ),
    ],
)
def test_a_grid_that_cannot_be_is_refused_with_a_remedy(tile, image, message):
    with pytest.raises(RecipeError, match="got") as caught:
        tile.output(image)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("height", "width", "size", "overlap"), [(480, 640, 224, 32), (448, 450, 224, 0)]
)
def test_the_remedies_work(height, width, size, overlap):
    image = ImageSpec(height=height, width=width)
    with pytest.raises(RecipeError, match="use overlap") as caught:
        Tile(size=(size, size), overlap=overlap).output(image)
    remedy = str(caught.value).partition("; ")[2]
    overlaps, padded = (part.partition("]")[0].split(", ") for part in remedy.split("[")[1:])
    Tile(size=(size, size), overlap=tuple(map(int, overlaps))).output(image)
    padded_image = image.replace(height=int(padded[0]), width=int(padded[1]))
    Tile(size=(size, size), overlap=overlap).output(padded_image)


@pytest.mark.parametrize(
    ("overlap", "shown"), [(5, "5"), (-1, "-1"), ((0, 6), "[0, 6]"), ((-1, 0), "[-1, 0]")]
)
def test_an_overlap_out_of_range_is_refused(overlap, shown):
    with pytest.raises(RecipeError, match="overlap") as caught:
        Tile(size=(5, 6), overlap=overlap)
    assert str(caught.value) == (
        f"overlap: must be at least 0 and below the tile's [5, 6] pixels, got {shown}"
    )


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (1, 2), (4, 1)])
def test_tiles_that_a_network_stretched_make_a_stretched_picture(noise, rows, columns):
    picture = noise(11, 11)[None]
    tiles = TILE.apply(NUMPY, picture, IMAGE).repeat(rows, axis=1).repeat(columns, axis=2)
    joined = untile(NUMPY, tiles, TILE, IMAGE)
    assert np.array_equal(joined, picture.repeat(rows, axis=1).repeat(columns, axis=2))


def test_tiles_of_half_the_size_make_half_a_picture():
    tile, image = Tile(size=(8, 8), overlap=4), ImageSpec(height=16, width=12)
    picture = np.arange(16 * 12, dtype=np.float32).reshape(1, 16, 12, 1)
    tiles = tile.apply(NUMPY, picture, image)[:, ::2, ::2]
    assert np.array_equal(untile(NUMPY, tiles, tile, image), picture[:, ::2, ::2])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((7, 5, 6, 3), "tiles: must be 3 × 2 for each picture, got 7"),
        (
            (6, 4, 6, 3),
            "tiles: a side must be 5 pixels, or leave an overlap of 2 whole, got 4",
        ),
        (
            (6, 5, 7, 3),
            "tiles: a side must be 6 pixels, or leave an overlap of 1 whole, got 7",
        ),
    ],
)
def test_what_are_no_tiles_of_that_picture_is_refused(shape, message):
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        untile(NUMPY, np.zeros(shape, np.float32), TILE, IMAGE)
