"""Draw samples/: each digit once, held-out ones on held-out photographs, in several sizes."""

from pathlib import Path

from data import pictures
from PIL import Image

SAMPLES = Path(__file__).resolve().parent / "samples"
SEED = 3  # evaluation has another one: these pictures are not among those that are scored
SIZES = (  # height and width for each digit
    (96, 128), (128, 96), (80, 80), (112, 112), (160, 120),
    (90, 150), (64, 64), (240, 320), (100, 140), (128, 128),
)  # fmt: skip


def main() -> None:
    """Write one picture of each digit."""
    SAMPLES.mkdir(exist_ok=True)
    for digit, size in enumerate(SIZES):
        drawn = pictures("held-out", seed=SEED + digit, count=100, size=size)
        picture = next(picture for picture, label in drawn if label == digit)
        Image.fromarray(picture).save(SAMPLES / f"digit-{digit}.png")


if __name__ == "__main__":
    main()
