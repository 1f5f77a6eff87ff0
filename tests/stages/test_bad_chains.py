"""What a recipe may ask for that cannot be: every message says what came and what to change.

More of single stages stands beside each stage's other tests, and of tables in test_chain_build.
"""

import pytest

from edgeprep.errors import RecipeError
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec

ANY = ImageSpec()
RESIZE = {"use": "resize", "size": [64, 48]}
NORMALIZE = {"use": "normalize", "mean": [0.5] * 3, "std": [0.5] * 3}
HSV = {"use": "color", "to": "hsv"}
LINEAR = {"use": "linear"}
SHIFTED = {"use": "layout", "to": "nchw"}
DENOISE = {"use": "non-local-means", "h": 3.0}
BEFORE = "put this stage before normalize and scale"
ODD = "must be odd, to have a pixel in the middle"
SIGMA = "must be at least 0.1 and at most 100.0"
CUTOFF = "must be at least 0.002 and at most 0.5 cycles a pixel"
WAVE = "; a wave needs at least two pixels, and kernels end at 400"
ONE_SIZE = (
    "runs on the host, which hands pictures of one size, in 0..255 as screens show them, to the "
    "graph, got none after it; put it before normalize, scale, linear and tile, and resize to one "
    "size"
)
SLOW = "it compares every pixel with hundreds of others, which would be thousands of operations"


def stage(use, **options):
    return {"use": use, **options}


def build(*tables, image):
    return Chain.build(tables, input=image, registry=Registry(installed=False))


# Stages that work on levels, as small as their tables can be.
ON_LEVELS = {
    "bilateral": stage("bilateral", diameter=5, sigma_color=10.0, sigma_space=2.0),
    "canny": stage("canny", low=50, high=100),
    "clahe": stage("clahe"),
    "equalize": stage("equalize"),
    "gamma": stage("gamma", exponent=2.0),
    "laplacian": stage("laplacian"),
    "linear": stage("linear"),
    "median": stage("median", size=3),
    "non-local-means": DENOISE,
    "pad": stage("pad", top=1),
    "resize": RESIZE,
    "scharr": stage("scharr"),
    "sharpen": stage("sharpen"),
    "sobel": stage("sobel"),
    "stretch": stage("stretch"),
    "unsharp": stage("unsharp", sigma=1.0),
    "white-balance": stage("white-balance"),
}


@pytest.fixture
def refused():
    """The message about a chain, and where it is cut."""

    def message(*tables, placement=None, image=ANY):
        with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
            build(*tables, image=image).cut(placement)
        return str(caught.value)

    return message


@pytest.mark.parametrize("name", sorted(ON_LEVELS.keys() - {"resize"}))
def test_what_works_on_levels_is_before_normalize(refused, name):
    assert refused(NORMALIZE, ON_LEVELS[name]) == (
        f"preprocess[1]: {name} needs values in 0..255, got 'normalized'; {BEFORE}"
    )


@pytest.mark.parametrize("name", ["gaussian", "low-pass"])
def test_linear_filters_take_0_to_1_too(refused, name):
    assert refused(NORMALIZE, stage(name, sigma=1.0)) == (
        f"preprocess[1]: {name} needs values in 0..255 or 0..1, got 'normalized'; {BEFORE}"
    )


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("bilateral", "rgb or bgr or grey or ycrcb or lab"),
        ("canny", "rgb or bgr or grey"),
        ("clahe", "rgb or bgr or grey or ycrcb or lab"),
        ("equalize", "rgb or bgr or grey or ycrcb or lab"),
        ("gamma", "rgb or bgr or grey"),
        ("median", "rgb or bgr or grey"),
        ("resize", "rgb or bgr or grey or rgba or bgra or ycrcb or lab"),
        ("white-balance", "rgb or bgr"),
    ],
)
def test_hue_is_no_brightness(refused, name, colors):
    assert refused(RESIZE, HSV, ON_LEVELS[name]) == (
        f"preprocess[2]: {name} needs {colors} pictures, got 'hsv'; "
        "put color with to = 'rgb' before this stage"
    )


@pytest.mark.parametrize("name", ["canny", "clahe", "equalize", "median", "sharpen", "stretch"])
def test_integer_stages_take_what_screens_show(refused, name):
    assert refused(LINEAR, ON_LEVELS[name]) == (
        f"preprocess[1]: {name} needs levels as screens show them, got linear light; put srgb first"
    )


@pytest.mark.parametrize("name", ON_LEVELS)
def test_planes_of_a_camera_become_pixels_first(refused, name):
    image = ImageSpec(color="nv12", height=64, width=48)
    assert refused(ON_LEVELS[name], image=image) == (
        f"preprocess[0]: {name} needs pixels, got planes, 'nv12'; "
        "put color with to = 'rgb' before all other stages"
    )


@pytest.mark.parametrize("name", ON_LEVELS)
def test_channels_come_first_only_at_the_end(refused, name):
    assert refused(SHIFTED, ON_LEVELS[name]) == (
        f"preprocess[1]: {name} needs layout 'nhwc', got 'nchw'; put layout last"
    )


@pytest.mark.parametrize("name", ["center-crop", "crop", "letterbox", "pad", "resize", "tile"])
@pytest.mark.parametrize("length", [0, -1, 16385])
def test_lengths_are_1_to_16384_pixels(refused, name, length):
    assert refused(stage(name, size=[8, length])) == (
        f"preprocess[0].size[1]: must be at least 1 and at most 16384, got {length}"
    )


@pytest.mark.parametrize("name", ["center-crop", "crop", "letterbox", "pad", "resize", "tile"])
def test_pictures_have_67_million_pixels_at_most(refused, name):
    assert refused(stage(name, size=[8192, 8193])) == (
        "preprocess[0].size: must have at most 67108864 pixels, got [8192, 8193]"
    )


VALUES = [
    (stage("gaussian", sigma=0), f".sigma: {SIGMA}, got 0"),
    (stage("gaussian", sigma=-1.5), f".sigma: {SIGMA}, got -1.5"),
    (stage("gaussian", sigma=101.0), f".sigma: {SIGMA}, got 101.0"),
    (stage("gaussian", sigma=float("nan")), ".sigma: must be a finite number, got nan"),
    (stage("gaussian", sigma="1"), ".sigma: must be a number, got '1'"),
    (stage("low-pass", cutoff=0.6), f".cutoff: {CUTOFF}, got 0.6{WAVE}"),
    (stage("low-pass", sigma=1.0, cutoff=0.1), ": needs either sigma or cutoff, got both"),
    (stage("low-pass"), ": needs either sigma or cutoff, got neither"),
    (stage("band-pass", sigma=[1.0, 0.0]), f".sigma[1]: {SIGMA}, got 0.0"),
    (
        stage("band-pass", sigma=[2.0, 1.0]),
        ".sigma: must be two numbers of which the second is greater, got [2.0, 1.0]",
    ),
    (stage("band-pass", cutoff=[0.1, 0.6]), f".cutoff[1]: {CUTOFF}, got 0.6{WAVE}"),
    (stage("unsharp", sigma=0), f".sigma: {SIGMA}, got 0"),
    (stage("unsharp", sigma=1.0, amount=0), ".amount: must be above 0 and at most 10, got 0"),
    (stage("clahe", clip=0), ".clip: must be above 0 and at most 256, got 0"),
    (stage("clahe", clip=257.0), ".clip: must be above 0 and at most 256, got 257.0"),
    (stage("clahe", grid=[8, 33]), ".grid[1]: must be at least 1 and at most 32, got 33"),
    (stage("stretch", low=-0.5), ".low: must be at least 0 and at most 100, got -0.5"),
    (stage("stretch", high=100.5), ".high: must be at least 0 and at most 100, got 100.5"),
    (stage("stretch", low=60, high=40), ".low: must be below high, got 60.0 and 40.0"),
    (stage("canny", low=-1, high=2), ".low: must be at least 0 and at most 2040, got -1"),
    (stage("canny", low=9, high=2), ".low: must be at most high, got 9 and 2"),
    (stage("canny", low=1, high=2, steps=0), ".steps: must be at least 1 and at most 1024, got 0"),
    (stage("gamma", exponent=0), ".exponent: must be above 0 and at most 10, got 0"),
    (stage("median", size=4), ".size: must be one of 3, 5, got 4"),
    (stage("mean", size=4), f".size: {ODD}, got 4"),
    (stage("mean", size=1), ".size: must be at least 3 and at most 255, got 1"),
    (ON_LEVELS["bilateral"] | {"diameter": 4}, f".diameter: {ODD}, got 4"),
    (
        ON_LEVELS["bilateral"] | {"sigma_color": 0.0},
        ".sigma_color: must be at least 0.1 and at most 1000.0, got 0.0",
    ),
    (DENOISE | {"h": 0}, ".h: must be at least 0.1 and at most 1000.0, got 0"),
    (DENOISE | {"search": 4}, f".search: {ODD}, got 4"),
    (stage("clip", low=3.0, high=1.0), ".high: must be above low, 3.0, got 1.0"),
    (
        stage("scale", factor=0.0),
        ".factor: must not be 0, which leaves nothing of a picture, got 0.0",
    ),
    (NORMALIZE | {"std": [0.5, 0, 0.5]}, ".std[1]: must be above 0, got 0"),
    (stage("rotate", clockwise=45), ".clockwise: must be one of 90, 180, 270, got 45"),
    (stage("frames", every=0), ".every: must be at least 1, got 0"),
    (stage("running-background", rate=1.5), ".rate: must be above 0 and at most 1, got 1.5"),
]


@pytest.mark.parametrize(
    ("table", "message"), VALUES, ids=[f"{table['use']} {message}" for table, message in VALUES]
)
def test_values_out_of_range(refused, table, message):
    assert refused(table) == f"preprocess[0]{message}"


@pytest.mark.parametrize(
    ("tile", "message"),
    [
        (
            stage("tile", size=[30, 30]),
            (
                "needs pictures that tiles of [30, 30] pixels with overlap [0, 0] cover exactly, "
                "got [64, 48]; use overlap [13, 12], or pad to [90, 60] first"
            ),
        ),
        (
            stage("tile", size=[100, 24]),
            (
                "needs pictures that tiles of [100, 24] pixels with overlap [0, 0] cover exactly, "
                "got [64, 48]; pad to [100, 48] first"
            ),
        ),
    ],
)
def test_a_grid_that_does_not_divide(refused, tile, message):
    assert refused(RESIZE, tile) == f"preprocess[1]: tile {message}"


def test_a_grid_over_pictures_of_any_size(refused):
    assert refused(stage("tile", size=[32, 32])) == (
        "preprocess[0]: tile needs pictures of one size, got a free size; "
        "put a resize, or a pad with a size, before this stage"
    )


def test_tiles_that_overlap_whole(refused):
    assert refused(RESIZE, stage("tile", size=[32, 24], overlap=[32, 0])) == (
        "preprocess[1].overlap: must be at least 0 and below the tile's [32, 24] pixels, "
        "got [32, 0]"
    )


def test_the_remedies_for_a_grid_work():
    for tables in (
        (RESIZE, stage("tile", size=[30, 30], overlap=[13, 12])),
        (RESIZE, stage("pad", size=[90, 60]), stage("tile", size=[30, 30])),
    ):
        assert build(*tables, image=ANY).output.size == (30, 30)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (DENOISE, SLOW),
        (stage("frame-difference"), "it remembers earlier pictures"),
        (stage("running-background"), "it remembers earlier pictures"),
        (stage("frames", every=2), "it remembers earlier pictures"),
    ],
)
def test_a_stage_that_no_graph_can_hold(refused, table, reason):
    assert refused(RESIZE, table, NORMALIZE, placement="graph") == (
        f"preprocess[1]: {table['use']} must run on the host, got placement 'graph'; "
        f"{reason}; use placement = 'split' or 'host'"
    )
    chain = build(RESIZE, table, NORMALIZE, image=ANY)
    # The placements that can.
    assert all(len(chain.cut(placement)[0].stages) == 2 for placement in ("split", "host"))


@pytest.mark.parametrize("placement", ["split", "host"])
@pytest.mark.parametrize(
    "tables",
    [
        (RESIZE, NORMALIZE, stage("frames", every=2)),
        (RESIZE, LINEAR, DENOISE),
        (RESIZE, stage("tile", size=[32, 24]), DENOISE),
        (stage("median", size=3), DENOISE),
    ],
    ids=["normalized", "linear", "tiles", "any size"],
)
def test_a_host_that_cannot_hand_over_what_it_has(refused, tables, placement):
    where = f"preprocess[{len(tables) - 1}]: {tables[-1]['use']}"
    assert refused(*tables, placement=placement) == f"{where} {ONE_SIZE}"


@pytest.mark.parametrize("name", ["resize", "clahe", "random-flip"])
def test_a_stage_that_is_newer_than_what_is_installed(refused, name):
    assert refused(stage(f"{name}@9")) == (
        f"preprocess[0].use: unknown stage '{name}@9'; upgrade edgeprep, whose newest is '{name}@1'"
    )


@pytest.mark.parametrize("version", ["0", "", "x", "1.0", "-9"])
def test_a_version_that_is_none(refused, version):
    assert refused(stage(f"resize@{version}")) == (
        f"preprocess[0].use: unknown stage 'resize@{version}'; did you mean 'resize@1'?"
    )


def test_a_version_of_thousands_of_digits(refused):
    message = refused(stage(f"resize@{'9' * 5000}"))
    start = f"preprocess[0].use: unknown stage 'resize@{'9' * 69}...; known here: 'resize@1', "
    assert message.startswith(start)


def test_statistics_in_another_unit_are_refused_with_the_unit(refused):
    assert refused(NORMALIZE | {"mean": [123.7, 116.3, 103.5]}) == (
        "preprocess[0]: normalize needs a mean of at most 1, in the unit '0..1' of values, "
        "got [123.7, 116.3, 103.5]; use unit = '0..255'"
    )
