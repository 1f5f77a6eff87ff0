"""Sessions that cut pictures into tiles of their network's size."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import Golden, Manifest, SourceRecord, write_bundle
from edgeprep.errors import (
    ClosedError,
    IncompatibleBundle,
    NonFiniteOutput,
    RecipeError,
    ShapeError,
)
from edgeprep.geometry import IDENTITY
from edgeprep.interfaces import Runner
from edgeprep.registry import default_registry
from edgeprep.runtime import Session
from edgeprep.runtime.tiled import check_tiling
from edgeprep.stages.chain import Chain
from edgeprep.tasks.restore import Restore
from edgeprep.tensors import ImageSpec, TensorSpec

SIDE, OVERLAP, SCALE = 24, 8, 2
IMAGE = TensorSpec(name="image", shape=(1, SIDE, SIDE, 3), dtype="uint8")
OUTPUT = TensorSpec(name="output", shape=(1, 3, SIDE * SCALE, SIDE * SCALE), dtype="float32")

Picture = NDArray[np.uint8]


def blurred(pictures: Picture) -> NDArray[np.float32]:
    """The network: a mean of 5×5 pixels, black beyond the picture, twice as large, in 0..1."""
    rows, columns = pictures.shape[1:3]
    padded = np.pad(pictures.astype(np.float32), ((0, 0), (2, 2), (2, 2), (0, 0)))
    total = sum(padded[:, y : y + rows, x : x + columns] for y in range(5) for x in range(5))
    mean = np.asarray(total / np.float32(25 * 255)).transpose(0, 3, 1, 2)
    return mean.repeat(SCALE, axis=2).repeat(SCALE, axis=3)


class BlurRunner(Runner):
    inputs = (IMAGE,)
    outputs = (OUTPUT,)

    def __init__(self, compute: Callable[[Picture], NDArray[np.float32]]) -> None:
        self.compute = compute

    def run(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        assert inputs[0].shape == IMAGE.shape
        return (self.compute(inputs[0]),)

    def close(self) -> None:
        pass


@pytest.fixture
def blur(manifest: Manifest) -> Manifest:
    """A bundle with that network."""
    variant = replace(
        manifest.variants[0], input=IMAGE, outputs=(OUTPUT,), metric=None, size_bytes=len(b"blur")
    )
    golden = Golden(
        placement="graph",
        input=replace(IMAGE, shape=(2, SIDE, SIDE, 3)),
        input_member="golden/graph/input.bin",
        outputs=(replace(OUTPUT, shape=(2, *OUTPUT.shape[1:])),),
        output_members=("golden/graph/output-0.bin",),
    )
    return replace(
        manifest,
        name="blur",
        task={"use": "restore", "scale": SCALE, "overlap": OVERLAP},
        input=ImageSpec(height=SIDE, width=SIDE),
        source=SourceRecord(),
        variants=(variant,),
        golden=(golden,),
    )


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[Manifest], Path]:
    def write(manifest: Manifest) -> Path:
        pictures = noise((2, SIDE, SIDE, 3))
        answers = blurred(pictures).tobytes()
        members = {
            "golden/graph/input.bin": pictures.tobytes(),
            "golden/graph/output-0.bin": answers,
            manifest.variants[0].files[0]: b"blur",
            manifest.variants[0].golden_outputs[0]: answers,
        }
        path = tmp_path / "blur.edgeprep"
        write_bundle(path, manifest, members, overwrite=True)
        return path

    return write


@pytest.fixture
def open_blur(
    fakes: SimpleNamespace, blur: Manifest, pack: Callable[[Manifest], Path]
) -> Callable[..., Session]:
    def open_it(
        compute: Callable[[Picture], NDArray[np.float32]] = blurred, manifest: Manifest = blur
    ) -> Session:
        class Blur(fakes.Right):  # type: ignore[name-defined, misc]
            name = "blur"

            def load(self, *_: object) -> Runner:
                return BlurRunner(compute)

        return edgeprep.open(pack(manifest), probe=False, registry=fakes.registry(Blur))

    return open_it


@pytest.fixture
def session(open_blur: Callable[..., Session]) -> Iterator[Session]:
    with open_blur() as session:
        yield session


def noise(shape: tuple[int, ...]) -> Picture:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def whole(picture: Picture) -> NDArray[np.float64]:
    """What the network would make of the whole picture, were it not black beyond its edges."""
    wide = np.pad(picture, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    return np.asarray(blurred(wide[None])[0][:, 4:-4, 4:-4].transpose(1, 2, 0) * 255.0)


@pytest.mark.parametrize(
    "size", [(100, 70), (25, 24), (24, 57), (7, 90), (3, 5), (64, 64)], ids=str
)
def test_tiles_give_what_the_whole_picture_would(session: Session, size: tuple[int, int]) -> None:
    picture = noise((*size, 3))
    result = session(picture).picture
    assert result.shape == (size[0] * SCALE, size[1] * SCALE, 3)
    # Means are rounded in another order, which may turn a half.
    assert np.abs(result - np.floor(whole(picture) + 0.5)).max() <= 1


def test_a_picture_of_the_networks_size_goes_through_it_as_in_any_session(
    session: Session,
) -> None:
    picture = noise((SIDE, SIDE, 3))
    wanted = np.floor(blurred(picture[None])[0].transpose(1, 2, 0) * 255 + 0.5)
    assert np.abs(session(picture).picture - wanted).max() <= 1
    (output,) = session.outputs(picture)
    np.testing.assert_array_equal(output, blurred(picture[None]))


def test_outputs_are_joined(session: Session) -> None:
    picture = noise((50, 40, 3))
    (output,) = session.outputs(picture)
    assert output.shape == (1, 3, 100, 80)
    np.testing.assert_allclose(output[0].transpose(1, 2, 0) * 255, whole(picture), atol=1e-3)


def test_batches_and_streams_take_pictures_of_different_sizes(session: Session) -> None:
    pictures = [noise((*size, 3)) for size in ((30, 40), (24, 24), (60, 20))]
    alone = [session(picture) for picture in pictures]
    assert list(session.batch(pictures)) == alone
    assert list(session.stream(pictures, fps=25.0)) == alone
    assert len(set(alone)) == 3


def test_it_takes_any_size_and_leaves_pixels_in_their_places(session: Session) -> None:
    assert session.input == ImageSpec()
    assert session.backward(100, 70) == (IDENTITY,)


def test_a_picture_is_not_held_twice(session: Session) -> None:
    # A fiftieth of what the outputs of all tiles at once would be.
    import tracemalloc

    picture = noise((3000, SIDE, 3))
    tracemalloc.start()
    result = session(picture).picture
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < result.nbytes * 1.2 + 200_000


def test_other_channels_are_refused(session: Session) -> None:
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        session(noise((30, 30, 1)))
    assert str(caught.value) == "picture: must have shape (height, width, 3), got (30, 30, 1)"


def test_a_closed_session_says_so(open_blur: Callable[..., Session]) -> None:
    session = open_blur()
    session.close()
    with pytest.raises(
        ClosedError, match=r"^session 'blur': must be open, got a call after close\(\)$"
    ):
        session(noise((30, 30, 3)))


def test_a_tile_that_is_no_number_is_refused(open_blur: Callable[..., Session]) -> None:
    def broken(pictures: Picture) -> NDArray[np.float32]:
        answer = blurred(pictures)
        return answer * np.float32("nan") if pictures[0, 0, 0, 0] == 77 else answer

    picture = np.zeros((40, 40, 3), np.uint8)
    # Where the last tile begins: the third one, 2 pixels less than 2 · 16.
    picture[30, 30] = 77
    with open_blur(broken) as session:
        with pytest.raises(
            NonFiniteOutput, match=r"^session 'blur': pictures\[0\]: output 'output'"
        ):
            session.batch([picture])
        assert np.isnan(session.outputs(picture)[0]).any()


@pytest.mark.parametrize(
    ("keys", "stages", "message"),
    [
        (
            {},
            [],
            (
                "task.overlap: needs input.size, which tiles will have, got none; name the size "
                "that the network takes, or leave overlap out"
            ),
        ),
        (
            {"height": 24, "width": 32, "color": "nv12"},
            [{"use": "color", "to": "rgb"}],
            "task.overlap: needs pictures of whole pixels, got input.color 'nv12'",
        ),
        (
            {"height": 24, "width": 32},
            [{"use": "scale"}, {"use": "resize", "size": [24, 24]}],
            (
                "task.overlap: needs preprocessing that leaves every pixel in its place, got stage "
                "'resize'"
            ),
        ),
        (
            {"height": 24, "width": 24},
            [{"use": "flip", "axis": "horizontal"}],
            (
                "task.overlap: needs preprocessing that leaves every pixel in its place, got stage "
                "'flip'"
            ),
        ),
        (
            {"height": 24, "width": 24},
            [{"use": "gamma", "exponent": 0.5}, {"use": "stretch"}],
            (
                "task.overlap: needs preprocessing that makes of a tile what it makes of the "
                "picture, got stage 'stretch'; leave overlap out, or do it before"
            ),
        ),
        (
            {"height": 24, "width": 24},
            [{"use": "running-background"}],
            (
                "task.overlap: needs preprocessing and a network that look at one picture at a "
                "time, got some that look at several"
            ),
        ),
        (
            {"height": 12, "width": 24},
            [],
            "task.overlap: must be at most half of the network's [12, 24] pixels, got 8",
        ),
    ],
    ids=["no size", "planes", "resize", "flip", "contrast", "memory", "too much"],
)
def test_preprocessing_that_tiles_cannot_go_through_is_refused(
    keys: dict[str, Any], stages: list[dict[str, object]], message: str
) -> None:
    chain = Chain.build(stages, input=ImageSpec(**keys), registry=default_registry())
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        check_tiling(Restore(overlap=8), chain)
    assert str(caught.value) == message
    check_tiling(Restore(), chain)


def test_a_network_that_remembers_is_refused() -> None:
    chain = Chain.build([], input=ImageSpec(height=24, width=24), registry=default_registry())
    state = TensorSpec(name="state", shape=(1, 2), dtype="float32")
    with pytest.raises(RecipeError, match=r"got some that look at several$"):
        check_tiling(Restore(overlap=8), chain, states=(state,))


def test_a_bundle_of_that_kind_does_not_open(
    blur: Manifest, open_blur: Callable[..., Session]
) -> None:
    wrong = replace(blur, task={**blur.task, "overlap": 13})
    with pytest.raises(IncompatibleBundle, match=r"must be at most half of .*, got 13"):
        open_blur(manifest=wrong)


def test_overlaps_below_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^overlap: must be at least 0, got -1$"):
        Restore(overlap=-1)
