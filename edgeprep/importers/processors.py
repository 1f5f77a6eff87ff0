"""The image processors of transformers that treat a picture in ways that stages can say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["PROCESSORS", "Processor"]

STANDARD = (0.5, 0.5, 0.5)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

BILINEAR, BICUBIC = 2, 3

# How one number is read as a size, and what else is done. "convnext", "levit", "poolformer": resize
# to more than `size` by a rule of their own; "fixed": `size` must be [height, width]; "limited": as
# well, since one number is the shorter side and limits the longer one, whatever else a file says;
# "multiple": `size` becomes a multiple of what the file says.
Way: TypeAlias = Literal["plain", "convnext", "levit", "poolformer", "fixed", "limited", "multiple"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What a class does, and what it takes where a file does not say.

    Attributes:
        size: one length, or `[height, width]`, in pixels.
        resample: by Pillow's numbers.
        square: whether one length means a square, and not the shorter side, where the file does
            not say so by `default_to_square`.
        crop: the size of the centre crop; None where there is none by default.
        normalize: whether statistics are subtracted by default; None: never, whatever a file says.
        mean: one number a channel, for values in 0..1; `std` likewise.
        crop_pct: for the ways that have it.
        flip: whether channels are reversed at the end by default; None: never.
        include_top: whether the result is divided by `std` once more by default; None: never.
        way: how pictures are resized.
        floats: whether pictures are resized as floats, which bicubic takes out of 0..1.
    """

    size: int | tuple[int, int]
    resample: int = BICUBIC
    square: bool = True
    crop: int | None = None
    normalize: bool | None = True
    mean: tuple[float, float, float] = STANDARD
    std: tuple[float, float, float] = STANDARD
    crop_pct: float | None = None
    flip: bool | None = None
    include_top: bool | None = None
    way: Way = "plain"
    floats: bool = False


def _detr(
    size: int | tuple[int, int] = 800, *, normalize: bool = True, way: Way = "limited"
) -> Processor:
    mean, std = IMAGENET
    return Processor(
        size=size,
        resample=BILINEAR,
        square=False,
        normalize=normalize,
        mean=mean,
        std=std,
        way=way,
    )


# By the name of the class, without "ImageProcessor", "ImageProcessorFast" or "FeatureExtractor".
# Source: transformers 5.23, whose classes of these names say so.
PROCESSORS: Mapping[str, Processor] = {
    "Beit": Processor(size=224),
    "Bit": Processor(size=224, square=False, crop=224, mean=CLIP[0], std=CLIP[1]),
    "Blip": Processor(size=384, mean=CLIP[0], std=CLIP[1]),
    "CLIP": Processor(size=224, square=False, crop=224, mean=CLIP[0], std=CLIP[1]),
    "ChineseCLIP": Processor(size=224, square=False, crop=224, mean=CLIP[0], std=CLIP[1]),
    "ConditionalDetr": _detr(),
    "ConvNext": Processor(size=384, square=False, crop_pct=0.875, way="convnext"),
    "DINOv3ViT": Processor(
        size=224, resample=BILINEAR, mean=IMAGENET[0], std=IMAGENET[1], floats=True
    ),
    "DPT": Processor(size=384, way="multiple"),
    "DeformableDetr": _detr(),
    "DeiT": Processor(size=256, crop=224),
    "Detr": _detr(),
    "EfficientNet": Processor(size=346, include_top=True),
    "Levit": Processor(
        size=224, square=False, crop=224, mean=IMAGENET[0], std=IMAGENET[1], way="levit"
    ),
    "MobileNetV1": Processor(size=256, resample=BILINEAR, square=False, crop=224),
    "MobileNetV2": Processor(size=256, resample=BILINEAR, square=False, crop=224),
    "MobileViT": Processor(size=224, square=False, crop=256, normalize=None, flip=True),
    "OwlViT": Processor(size=768, mean=CLIP[0], std=CLIP[1]),
    "PoolFormer": Processor(
        size=224,
        square=False,
        crop=224,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        crop_pct=0.9,
        way="poolformer",
    ),
    "Pvt": Processor(size=224, mean=IMAGENET[0], std=IMAGENET[1]),
    "RTDetr": _detr((640, 640), normalize=False, way="fixed"),
    "Segformer": Processor(size=512, resample=BILINEAR, mean=IMAGENET[0], std=IMAGENET[1]),
    "Siglip": Processor(size=(224, 224), square=False),
    "ViT": Processor(size=224, resample=BILINEAR),
    "Yolos": _detr(),
}
