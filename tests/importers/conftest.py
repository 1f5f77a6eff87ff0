"""Classes with the attributes of torchvision's, and what the originals compute, from formulas."""

from collections.abc import Callable, Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from edgeprep.importers.stages import Table
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.tensors import ImageSpec

Picture = NDArray[np.uint8]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class InterpolationMode(Enum):
    """As torchvision.transforms.InterpolationMode."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


def _module(name: str, **classes: Callable[..., dict[str, Any]]) -> SimpleNamespace:
    """Classes of these names, whose `__init__` stores what the functions give as attributes."""

    def make(cls: str, store: Callable[..., dict[str, Any]]) -> type:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            vars(self).update(store(*args, **kwargs))

        return type(cls, (), {"__init__": init, "__module__": name})

    return SimpleNamespace(**{cls: make(cls, store) for cls, store in classes.items()})


def _pair(size: Any) -> Any:
    return (size, size) if isinstance(size, int) else size


def _resize(
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: Any = True,
) -> dict[str, Any]:
    options = {"max_size": max_size, "antialias": antialias}
    return {"size": size, "interpolation": interpolation, **options}


def _resize_2(size: Any, interpolation: Any = "bilinear", **options: Any) -> dict[str, Any]:
    return _resize([size] if isinstance(size, int) else size, interpolation, **options)


def _nothing() -> dict[str, Any]:
    return {}


def _pad(padding: Any, fill: Any = 0, padding_mode: str = "constant") -> dict[str, Any]:
    return {"padding": padding, "fill": fill, "padding_mode": padding_mode}


def _statistics(mean: Any, std: Any, inplace: bool = False) -> dict[str, Any]:
    return {"mean": mean, "std": std, "inplace": inplace}


def _classification(
    *,
    crop_size: int,
    resize_size: int = 256,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: Any = True,
) -> dict[str, Any]:
    # Both sizes become lists of one.
    return {
        "crop_size": [crop_size],
        "resize_size": [resize_size],
        "mean": list(mean),
        "std": list(std),
        "interpolation": interpolation,
        "antialias": antialias,
    }


COMMON: dict[str, Callable[..., dict[str, Any]]] = {
    "CenterCrop": lambda size: {"size": _pair(size)},
    "Compose": lambda transforms: {"transforms": transforms},
    "ColorJitter": lambda brightness=0: {"brightness": brightness},
    "FiveCrop": lambda size: {"size": _pair(size)},
    "Grayscale": lambda num_output_channels=1: {"num_output_channels": num_output_channels},
    "Lambda": lambda lambd: {"lambd": lambd},
    "Normalize": _statistics,
    "PILToTensor": _nothing,
    "Pad": _pad,
    "RandomHorizontalFlip": lambda p=0.5: {"p": p},
    "ToPILImage": lambda mode=None: {"mode": mode},
    "ToTensor": _nothing,
}


@pytest.fixture
def v1() -> SimpleNamespace:
    """torchvision.transforms: `Resize` keeps a size as it is given."""
    return _module(
        "torchvision.transforms.transforms",
        **COMMON,
        ConvertImageDtype=lambda dtype: {"dtype": dtype},
        ImageClassification=_classification,
        Resize=_resize,
    )


@pytest.fixture
def v2() -> SimpleNamespace:
    """torchvision.transforms.v2: `Resize` makes a list of one length, and keeps "bilinear"."""
    return _module(
        "torchvision.transforms.v2",
        **COMMON,
        Identity=_nothing,
        RGB=_nothing,
        Resize=_resize_2,
        ToDtype=lambda dtype, scale=False: {"dtype": dtype, "scale": scale},
        ToImage=_nothing,
        ToPureTensor=_nothing,
    )


@pytest.fixture(params=["photo", "odd", "noise"])
def picture(request: pytest.FixtureRequest) -> Picture:
    """Pictures of odd sizes, whose shorter side is the height, the width, and the height."""
    photo = load_sample_image("china.jpg")
    if request.param == "photo":
        return photo.copy()
    if request.param == "odd":
        return np.ascontiguousarray(photo[:423, :301])
    return np.random.default_rng(7).integers(0, 256, (351, 517, 3), dtype=np.uint8)


@pytest.fixture
def run() -> Callable[[Sequence[Table], Picture], NDArray[np.float32]]:
    """The tables as a recipe builds them, on one picture: `(C, H, W)`, or `(H, W, C)`, float32."""

    def run(tables: Sequence[Table], picture: Picture) -> NDArray[np.float32]:
        chain = Chain.build(tables, input=ImageSpec(), registry=Registry(installed=False))
        return chain.apply(NumpyPrimitives(), picture[None])[0]

    return run


@pytest.fixture
def original() -> Callable[..., NDArray[np.float64]]:
    """A resize by Pillow, a centre crop, and `(level · factor - mean) / std`; `(C, H, W)`.

    `short`: the shorter side, by `int(short · long / short_in)`. `crop`: with the offset `rounding`
    of half the remainder, `round` as torchvision and timm do it, `int` as transformers does.
    """

    def compute(
        picture: Picture,
        *,
        short: int | None = None,
        size: tuple[int, int] | None = None,
        resample: Image.Resampling = Image.Resampling.BILINEAR,
        crop: tuple[int, int] | None = None,
        rounding: Callable[[float], int] = round,
        factor: float = 1 / 255,
        mean: Any = 0.0,
        std: Any = 1.0,
    ) -> NDArray[np.float64]:
        height, width = picture.shape[:2]
        if short is not None:
            least = min(height, width)
            size = (int(short * height / least), int(short * width / least))
        image = Image.fromarray(picture)
        if size is not None:
            image = image.resize((size[1], size[0]), resample)
        if crop is not None:
            top = rounding((image.height - crop[0]) / 2)
            left = rounding((image.width - crop[1]) / 2)
            image = image.crop((left, top, left + crop[1], top + crop[0]))
        levels = np.asarray(image, np.float64)
        return ((levels * factor - np.array(mean)) / np.array(std)).transpose(2, 0, 1)

    return compute
