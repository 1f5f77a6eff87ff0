"""A bundle as a stage of another model: on the host, and inside graphs of three engines."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgeprep
from edgeprep.errors import BundleError, ClosedError, RecipeError
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry
from edgeprep.runtime.choose import Prober, Trial
from edgeprep.runtime.fastest import find_fastest
from edgeprep.runtime.learned import LearnedStage
from edgeprep.runtime.network_session import NetworkSession as Session
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec
from edgeprep.testing import check_stage

# Converters warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Picture = NDArray[np.uint8]
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "tflite": "litert"}

MODEL = """
import torch

class Enhancer(torch.nn.Module):
    '''Brightens by a curve whose strength it finds in the picture, and doubles the size.'''

    def __init__(self, factor):
        super().__init__()
        self.find = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(),
            torch.nn.Conv2d(8, 3 * factor**2, 3, padding=1), torch.nn.PixelShuffle(factor),
            torch.nn.Tanh(),
        )
        self.grow = torch.nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)

    def forward(self, x):
        grown = self.grow(x)
        return grown + self.find(x) * grown * (1 - grown)

class Means(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))

def enhancer(factor):
    torch.manual_seed(0)
    return Enhancer(factor)

def means():
    return Means()
"""
ENHANCER = """
name = "enhancer"
[model]
factory = "model:enhancer"
[input]
size = [24, 16]
color = "bgr"
[[preprocess]]
use = "scale"
[task]
use = "tensors"
[data]
calibration = { use = "image-folder", path = "pictures" }
[[target]]
format = "onnx"
precision = ["fp32", "int8"]
"""
MEANS = """
name = "means"
placement = "auto"
[model]
factory = "model:means"
[[preprocess]]
use = "resize"
size = [24, 16]
[[preprocess]]
use = "color"
to = "bgr"
[[preprocess]]
use = "model"
bundle = "../denoiser/denoiser.edgeprep"
[[preprocess]]
use = "normalize"
mean = [0.5, 0.4, 0.3]
std = [0.25, 0.2, 0.3]
[task]
use = "tensors"
[data]
calibration = { use = "image-folder", path = "pictures" }
"""


def project(directory: Path, recipe: str, size: tuple[int, int] = (40, 50)) -> Path:
    """A recipe with a model and a few pictures, of this width and height, beside it."""
    rng = np.random.default_rng(5)
    (directory / "pictures" / "any").mkdir(parents=True)
    for index in range(6):
        coarse = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        picture.save(directory / "pictures" / "any" / f"{index}.png")
    (directory / "model.py").write_text(MODEL)
    (directory / "recipe.toml").write_text(recipe)
    return directory / "recipe.toml"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two bundles, converted once; one doubles the size."""
    root = tmp_path_factory.mktemp("learned")
    for name, factor in (("enhancer", 2), ("denoiser", 1)):
        text = ENHANCER.replace(":enhancer", f':enhancer"\narguments = {{ factor = {factor} }}#')
        recipe = project(root / name, text, size=(16, 24))
        edgeprep.convert(recipe, recipe.with_name(f"{name}.edgeprep"))
    project(root / "means", MEANS)
    return root


@pytest.fixture
def picture() -> Picture:
    coarse = np.random.default_rng(6).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((61, 37), Image.Resampling.BICUBIC))


def stage_of(root: Path, **options: object) -> LearnedStage:
    stage = LearnedStage(bundle="enhancer.edgeprep", **options)  # type: ignore[arg-type]
    return stage.opened((root / "enhancer" / stage.bundle).read_bytes(), default_registry())


def test_the_stage_is_its_bundle_and_the_range_that_it_names(root: Path) -> None:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (2, 24, 16, 3), dtype=np.uint8)
    with edgeprep.open(root / "enhancer" / "enhancer.edgeprep", prefer="fp32") as session:
        expected = [session.outputs(one)[0][0].transpose(1, 2, 0) for one in pictures]
    image = ImageSpec(height=24, width=16, color="bgr")
    stage = stage_of(root)
    result = stage.apply(NumpyPrimitives(), pictures, image)
    stage.close()
    assert stage.output(image) == image.replace(height=48, width=32, dtype="float32")
    assert np.abs(result - np.clip(np.stack(expected) * 255, 0, 255)).max() <= 0.01
    assert 0 <= result.min() < 20
    assert 200 < result.max() <= 255


@pytest.mark.parametrize("target", ENGINES)
def test_host_and_graph_give_the_same_in_every_engine(
    root: Path, target: str, picture: Picture, tmp_path: Path
) -> None:
    recipe = project(tmp_path / "means", MEANS.replace("../denoiser", str(root / "denoiser")))
    recipe.write_text(f'{recipe.read_text()}[[target]]\nformat = "{target}"\nprecision = ["fp32"]')
    output = tmp_path / "means.edgeprep"
    manifest = edgeprep.convert(recipe, output).manifest
    assert [variant.placement for variant in manifest.variants] == ["split", "host"]
    assert manifest.chain[2]["bundle"] == "chain/2-model"
    (tmp_path / "elsewhere").mkdir()
    moved = output.rename(tmp_path / "elsewhere" / "means.edgeprep")
    answers = []
    for variant in manifest.variants:
        with edgeprep.open(moved, prefer=variant.name) as session:
            answers.append(session.outputs(picture)[0])
            assert session.choice.backend == ENGINES[target]
    # On the host what enters the graph is rounded to levels, of which the means are means.
    assert np.abs(answers[0] - answers[1]).max() <= 0.5 / 255 / 0.2
    assert np.ptp(answers[0]) > 0.1


def test_an_open_session_has_the_engine_of_its_stage_and_closes_it(
    root: Path, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = root / "means" / "recipe.toml"
    text = f'{MEANS}[[target]]\nformat = "onnx"\nprecision = ["fp32"]'
    recipe.write_text(text.replace('"auto"', '"host"'))
    edgeprep.convert(recipe, tmp_path / "means.edgeprep")
    opened, closed = [], []
    start, close = LearnedStage.start, LearnedStage.close
    monkeypatch.setattr(
        LearnedStage, "start", lambda self, **wishes: (opened.append(wishes), start(self, **wishes))
    )
    monkeypatch.setattr(LearnedStage, "close", lambda self: (closed.append(self), close(self)))
    with edgeprep.open(tmp_path / "means.edgeprep", probe=False) as session:
        assert opened == [{"prefer": None, "probe": False, "seconds": 2.0}]
        first = session.outputs(picture)[0]
        assert not closed
    assert len(closed) == 1
    with edgeprep.open(tmp_path / "means.edgeprep", seconds=0.1) as session:
        assert {"prefer": None, "probe": True, "seconds": 0.1} in opened
        assert np.abs(session.outputs(picture)[0] - first).max() <= 1e-4
    with edgeprep.open(tmp_path / "means.edgeprep") as session:
        assert session.remembered
        assert np.abs(session.outputs(picture)[0] - first).max() <= 1e-4


def test_the_kit_finds_nothing_wrong(root: Path) -> None:
    stage = stage_of(root)
    check_stage(stage, ImageSpec(height=24, width=16, color="bgr"))
    stage.close()


def test_points_go_back_through_the_network_that_stretches(root: Path) -> None:
    (back,) = stage_of(root).backward(ImageSpec(height=24, width=16, color="bgr"))
    assert back.points([[32, 48], [0, 0]]).tolist() == [[16, 24], [0, 0]]


ENHANCED = "../enhancer/enhancer.edgeprep"
IMAGE = ImageSpec(height=24, width=16, color="bgr")
REFUSED = {
    "color": (
        IMAGE.replace(color="rgb"),
        "needs bgr pictures, got 'rgb'; put color with to = 'bgr' before this stage",
    ),
    "size": (
        IMAGE.replace(width=17),
        "needs pictures of [24, 16], got [24, 17]; put a resize to [24, 16] before it",
    ),
    "free size": (
        IMAGE.replace(width=None),
        "needs pictures of [24, 16], got 'a free size'; put a resize to [24, 16] before it",
    ),
    "range": (
        IMAGE.replace(range="0..1", dtype="float32"),
        "needs values in 0..255, got '0..1'; put this stage before normalize and scale",
    ),
    "light": (
        IMAGE.replace(light="linear", dtype="float32"),
        "needs levels as screens show them, got linear light; put srgb first",
    ),
    "layout": (
        IMAGE.replace(layout="nchw"),
        "needs layout 'nhwc', got 'nchw'; put layout last",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pictures_that_the_bundle_does_not_take_are_refused(root: Path, name: str) -> None:
    image, message = REFUSED[name]
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        stage_of(root).output(image)


def test_int8_runs_on_the_host_alone(root: Path) -> None:
    stage = stage_of(root, precision="int8")
    image = ImageSpec(height=24, width=16, color="bgr")
    pictures = np.random.default_rng(2).integers(0, 256, (1, 24, 16, 3), dtype=np.uint8)
    exact, rough = (
        each.apply(NumpyPrimitives(), pictures, image) for each in (stage_of(root), stage)
    )
    assert 0 < np.abs(exact - rough).mean() < 5
    chain = Chain(input=image, stages=(stage,))
    assert [len(part.stages) for part in chain.cut("split")] == [1, 1]
    message = (
        "preprocess[0]: model must run on the host, got placement 'graph'; 'enhancer.edgeprep' has "
        "no onnx variant in fp32 with all of its preprocessing inside; use placement = 'split' or "
        "'host'"
    )
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        chain.cut("graph")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            'bundle = "absent.edgeprep"',
            (
                "{directory}/absent.edgeprep: must be a file that can be read, "
                "got 'No such file or directory'"
            ),
        ),
        (
            'bundle = "model.py"',
            ("model.py: must be an edgeprep bundle, got a file that starts with b'\\nimport '"),
        ),
        (
            f'bundle = "{ENHANCED}"\nprecision = "fp16"',
            (f"{ENHANCED}: must have a variant in 'fp16', as precision says, got ['fp32', 'int8']"),
        ),
        (
            f'bundle = "{ENHANCED}"\ncolor = "grey"',
            (
                f"{ENHANCED}: the first output must be a grey picture, float32 "
                "(1, 1, H, W), got float32 (1, 3, 48, 32)"
            ),
        ),
    ],
    ids=["absent", "no bundle", "precision", "output"],
)
def test_a_recipe_whose_bundle_is_of_no_use_is_refused(
    root: Path, options: str, message: str
) -> None:
    recipe = root / "means" / "recipe.toml"
    text = f'{MEANS}[[target]]\nformat = "onnx"\nprecision = ["fp32"]'
    recipe.write_text(text.replace('bundle = "../denoiser/denoiser.edgeprep"', options))
    expected = f"preprocess[2].bundle: {message.format(directory=recipe.parent)}"
    with pytest.raises(RecipeError, match=f"^{re.escape(expected)}$"):
        Chain.of_recipe(load_recipe(recipe), default_registry())


def test_tables_alone_have_no_files() -> None:
    message = (
        "preprocess[0].use: must be a stage that needs no file, got 'model'; "
        "put it under [[preprocess]] of a recipe"
    )
    tables = [{"use": "model", "bundle": "x.edgeprep"}]
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        Chain.build(tables, input=ImageSpec(), registry=default_registry())


def test_a_stage_whose_bundle_nobody_read_says_so() -> None:
    stage = LearnedStage(bundle="x.edgeprep")
    message = "needs its bundle opened, got 'x.edgeprep'; build it by a chain"
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        stage.output(ImageSpec())


def test_a_cut_bundle_is_found_by_its_digests(root: Path) -> None:
    whole = (root / "enhancer" / "enhancer.edgeprep").read_bytes()
    with pytest.raises(BundleError, match=r"^enhancer\.edgeprep: must be \d+ bytes long, got "):
        LearnedStage(bundle="enhancer.edgeprep").opened(whole[:-1], default_registry())


@pytest.fixture
def on_the_host(root: Path, tmp_path: Path) -> Path:
    """A bundle whose host runs the denoiser."""
    recipe = root / "means" / "recipe.toml"
    text = f'{MEANS}[[target]]\nformat = "onnx"\nprecision = ["fp32"]'
    recipe.write_text(text.replace('"auto"', '"host"'))
    edgeprep.convert(recipe, tmp_path / "means.edgeprep")
    return tmp_path / "means.edgeprep"


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Every session that is made from here on."""
    made: list[Session] = []
    make = Session.__init__

    def init(self: Session, **parts: Any) -> None:
        make(self, **parts)
        made.append(self)

    monkeypatch.setattr(Session, "__init__", init)
    return made


def is_open(session: Session) -> bool:
    try:
        session._check_usable()
    except ClosedError:
        return False
    return True


def test_a_closed_session_does_not_wake_its_stage(
    on_the_host: Path, picture: Picture, sessions: list[Session]
) -> None:
    session = edgeprep.open(on_the_host, probe=False)
    assert [is_open(each) for each in sessions] == [True, True]
    session.close()
    for call in (lambda: session(picture), lambda: next(session.stream([picture]))):
        with pytest.raises(ClosedError, match=r"^session 'means': must be open, got a call after"):
            call()
    assert [is_open(each) for each in sessions] == [False, False]


def test_threads_that_call_during_close_leave_nothing_open(
    on_the_host: Path, picture: Picture, sessions: list[Session]
) -> None:
    session = edgeprep.open(on_the_host, probe=False)

    def call() -> None:
        with suppress(ClosedError):
            while True:
                session(picture)

    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(call) for _ in range(4)]
        sleep(0.1)
        session.close()
        for each in calls:
            each.result()
    assert not any(is_open(each) for each in sessions)


def test_an_open_that_fails_leaves_nothing_open(
    on_the_host: Path, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(prober: Prober, *arguments: Any, **options: Any) -> Trial:
        if prober._bundle.manifest.name == "means":
            raise SystemExit("stopped")
        return find_fastest(prober, *arguments, **options)

    monkeypatch.setattr("edgeprep.runtime.fastest.find_fastest", fail)
    with pytest.raises(SystemExit, match=r"^stopped$"):
        edgeprep.open(on_the_host, seconds=0.1)
    assert len(sessions) == 1  # of the stage, which was to be measured with
    assert not is_open(sessions[0])


def test_what_answers_in_a_stage_is_explained(on_the_host: Path) -> None:
    with edgeprep.open(on_the_host, seconds=0.1) as session:
        last = session.explain().splitlines()[-1]
    assert re.match(
        r"preprocess\[2\] model 'enhancer': onnx-fp32 onnxruntime cpu threads=\d.*, the fastest ",
        last,
    )


def test_a_preference_reaches_the_stage_where_its_bundle_has_it(
    on_the_host: Path, sessions: list[Session]
) -> None:
    with edgeprep.open(on_the_host, prefer="onnxruntime", seconds=0.1):
        assert {each.choice.backend for each in sessions} == {"onnxruntime"}
    with edgeprep.open(on_the_host, prefer="onnx-fp32", seconds=0.1) as session:
        assert session.choice.variant == "onnx-fp32"


def test_boxes_come_back_to_the_camera(on_the_host: Path) -> None:
    with edgeprep.open(on_the_host, probe=False) as session:
        (back,) = session.backward(480, 640)
    assert back.boxes([[0, 0, 16, 24], [4, 6, 8, 12]]).tolist() == [
        [0, 0, 640, 480],
        [160, 120, 320, 240],
    ]


def test_a_stage_travels_and_is_copied_with_its_bundle(root: Path) -> None:
    stage = stage_of(root)
    pictures = np.random.default_rng(2).integers(0, 256, (1, 24, 16, 3), dtype=np.uint8)
    expected = stage.apply(NumpyPrimitives(), pictures, IMAGE)
    # By __reduce__, as a worker gets it.
    other = deepcopy(stage)
    assert other == stage
    assert np.array_equal(other.apply(NumpyPrimitives(), pictures, IMAGE), expected)
    other.close()
    stage.close()
    unread = LearnedStage(bundle="x.edgeprep")
    assert deepcopy(unread) == unread
    assert stage != unread


def test_stages_of_two_bundles_at_one_path_differ(root: Path) -> None:
    contents = [
        (root / name / f"{name}.edgeprep").read_bytes() for name in ("enhancer", "denoiser")
    ]
    first, second = (
        LearnedStage(bundle="x.edgeprep").opened(content, default_registry())
        for content in contents
    )
    assert first != second


def test_bundles_that_bring_stages_of_their_own_are_refused(on_the_host: Path) -> None:
    message = (
        "means.edgeprep: must be a bundle without a stage 'model' of its own, got one; "
        "put that stage before this one"
    )
    stage = LearnedStage(bundle="means.edgeprep")
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        stage.opened(on_the_host.read_bytes(), default_registry())


def test_no_chain_has_more_than_eight_bundles(root: Path) -> None:
    content = (root / "denoiser" / "denoiser.edgeprep").read_bytes()
    tables = [{"use": "model", "bundle": "x.edgeprep"}] * 9
    with pytest.raises(
        RecipeError,
        match=r"^preprocess\[8\]: must be among at most 8 stages with files, got more$",
    ):
        Chain.build(tables, input=IMAGE, registry=default_registry(), files=lambda _: content)
