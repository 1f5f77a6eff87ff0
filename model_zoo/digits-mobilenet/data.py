"""Real handwritten digits, set on real photographs: nothing is downloaded, nothing is drawn.

The digits are scikit-learn's (UCI optdigits: 1797 pictures of 8×8), the photographs those that
come inside scikit-learn and scikit-image. One fifth of the digits and four of the photographs are
held out: evaluation sees neither a digit nor a background that training has seen.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits, load_sample_image

__all__ = ["calibration", "evaluation", "pictures", "training"]

Part = Literal["training", "held-out"]
Picture = NDArray[np.uint8]
Sample = tuple[Picture, int]

SAMPLE_IMAGES = ("china.jpg", "flower.jpg")  # scikit-learn's; the others are scikit-image's
PHOTOGRAPHS: dict[Part, tuple[str, ...]] = {
    "training": (
        "china.jpg",
        "astronaut.png",
        "motorcycle_left.png",
        "retina.jpg",
        "ihc.png",
        "grass.png",
        "gravel.png",
        "coins.png",
        "moon.png",
        "camera.png",
        "cell.png",
        "brick.png",
        "hubble_deep_field.jpg",
    ),
    "held-out": ("flower.jpg", "chelsea.png", "coffee.png", "rocket.jpg"),
}
SPLIT_SEED, CALIBRATION_SEED, EVALUATION_SEED = 0, 1, 2
TRAINING_SEED = 1000  # of the first epoch; far from the others
HELD_OUT_SHARE = 0.2
SIDES = (80, 160)  # of a picture, in pixels
DIGIT_SHARE = (0.6, 0.9)  # of the shorter side
MAX_ANGLE = 12.0  # degrees
LEANING = 0.1  # standard deviation of each coefficient of an affine map
EDGE_SLOPE, EDGE_START = 2.0, 0.5  # ink below a quarter is paper, above three quarters opaque
COLORS = 8  # to choose from, for each digit


def calibration() -> Iterator[Sample]:
    """Training pictures that training itself never drew: same digits and photographs, new seed."""
    return pictures("training", seed=CALIBRATION_SEED, count=256)


def evaluation() -> Iterator[Sample]:
    """Pictures of held-out digits on held-out photographs."""
    return pictures("held-out", seed=EVALUATION_SEED, count=1000)


def training(epoch: int = 0, count: int = 8192) -> Iterator[Sample]:
    """New training pictures for each epoch."""
    return pictures("training", seed=TRAINING_SEED + epoch, count=count)


def pictures(
    part: Part, *, seed: int, count: int, size: tuple[int, int] | None = None
) -> Iterator[Sample]:
    """`count` samples of one part, the same for the same seed.

    Args:
        part: which digits and photographs to draw from.
        seed: of the generator that places, turns and colours.
        count: how many samples; the digits come in random order, each as often as any other.
        size: height and width in pixels; drawn between 80 and 160 for each picture when None.

    Yields:
        A picture `(height, width, 3)`, uint8 RGB, and the digit on it.
    """
    generator = np.random.default_rng(seed)
    digits, labels = split_digits(part)
    order = np.concatenate(
        [generator.permutation(len(digits)) for _ in range(-(-count // len(digits)))]
    )
    for index in order[:count]:
        height, width = size or generator.integers(SIDES[0], SIDES[1] + 1, size=2).tolist()
        background = crop(part, generator, height, width)
        if part == "training":
            background = varied(background, crop(part, generator, height, width), generator)
        ink = enlarge(digits[index], round(min(height, width) * generator.uniform(*DIGIT_SHARE)))
        if part == "training":
            ink = rewritten(ink, generator)
        yield compose(ink, background, generator), int(labels[index])


@cache
def split_digits(part: Part) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The digits `(count, 8, 8)`, uint8 in 0..255, and the labels of one part."""
    digits = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(digits.target))
    held_out = round(len(order) * HELD_OUT_SHARE)
    chosen = order[:held_out] if part == "held-out" else order[held_out:]
    ink = np.clip(digits.images * (255.0 / 16.0) + 0.5, 0, 255).astype(np.uint8)
    return ink[chosen], digits.target[chosen]


@cache
def photograph(name: str) -> Image.Image:
    """One photograph in RGB."""
    if name in SAMPLE_IMAGES:
        return Image.fromarray(load_sample_image(name))
    with as_file(files("skimage.data") / name) as path, Image.open(path) as image:
        return image.convert("RGB")


def crop(part: Part, generator: np.random.Generator, height: int, width: int) -> Image.Image:
    """A random piece of a random photograph, seen from a random distance, perhaps mirrored."""
    image = photograph(PHOTOGRAPHS[part][generator.integers(len(PHOTOGRAPHS[part]))])
    largest = min(image.width / width, image.height / height)
    zoom = generator.uniform(min(0.7, largest), min(3.0, largest))
    left = generator.uniform(0, image.width - width * zoom)
    top = generator.uniform(0, image.height - height * zoom)
    box = (left, top, left + width * zoom, top + height * zoom)
    piece = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if generator.random() < 0.5 else piece


def varied(
    background: Image.Image, other: Image.Image, generator: np.random.Generator
) -> Image.Image:
    """What stands for the many photographs that there are not: new colours, other shapes."""
    background = recolored(background, generator)
    if generator.random() < 0.5:
        corners = generator.uniform(-0.5, 1.5, size=(2, 2)) * background.size
        mask = Image.new("L", background.size)
        low, high = corners.min(0).tolist(), corners.max(0).tolist()
        ImageDraw.Draw(mask).ellipse([*low, *high], fill=255)
        background.paste(recolored(other, generator), mask=mask)
    return background


def recolored(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """`image` with its channels exchanged and stretched, perhaps as a negative."""
    colors = np.asarray(image)[..., generator.permutation(3)].astype(np.float64)
    gain = generator.uniform(0.5, 1.5, size=3) * generator.choice([-1, 1])
    shifted = (colors - colors.mean((0, 1))) * gain + generator.uniform(40, 215, size=3)
    return Image.fromarray(np.clip(shifted, 0, 255).astype(np.uint8))


def enlarge(digit: NDArray[np.uint8], side: int) -> Image.Image:
    """An 8×8 digit as a smooth picture of `side` pixels, with paper around it."""
    return Image.fromarray(np.pad(digit, 1)).resize((side, side), Image.Resampling.BICUBIC)


def rewritten(ink: Image.Image, generator: np.random.Generator) -> Image.Image:
    """`ink` as another hand might have written it: leaning, wider or narrower."""
    matrix = np.eye(2) + generator.normal(0, LEANING, size=(2, 2))
    middle = np.array(ink.size) / 2
    shift = middle - matrix @ middle
    affine = np.column_stack([matrix, shift]).ravel().tolist()
    return ink.transform(ink.size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)


def compose(ink: Image.Image, background: Image.Image, generator: np.random.Generator) -> Picture:
    """`ink`, turned and coloured, somewhere on `background`."""
    opacity = turned(ink, generator)
    left = int(generator.integers(background.width - ink.width + 1))
    top = int(generator.integers(background.height - ink.height + 1))
    picture = np.array(background)
    paint(picture, opacity, left, top, generator)
    return picture


def turned(ink: Image.Image, generator: np.random.Generator) -> NDArray[np.float64]:
    """How opaque every pixel of `ink` is when it is turned a little, in 0..1."""
    ink = ink.rotate(generator.uniform(-MAX_ANGLE, MAX_ANGLE), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(ink, np.float64) / 255.0 * EDGE_SLOPE - EDGE_START, 0, 1)


def paint(
    picture: Picture,
    opacity: NDArray[np.float64],
    left: int,
    top: int,
    generator: np.random.Generator,
) -> None:
    """Cover `picture` from there with a readable colour, as far as that is opaque."""
    height, width = opacity.shape
    window = picture[top : top + height, left : left + width]
    covered = window.astype(np.float64)
    color = readable_color(covered[opacity > 0.5], generator)
    window[:] = covered + (color - covered) * opacity[..., np.newaxis] + 0.5


def readable_color(
    covered: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """The random colour that is farthest from the pixels `(count, 3)` that it will hide.

    "Farthest" is judged on the nearest tenth of the pixels: a digit that melts into a part of its
    background may not be a digit any more.
    """
    colors = generator.uniform(0, 255, size=(COLORS, 3))
    distance = np.linalg.norm(colors[:, np.newaxis] - covered, axis=-1)
    return colors[np.quantile(distance, 0.1, axis=1).argmax()]
