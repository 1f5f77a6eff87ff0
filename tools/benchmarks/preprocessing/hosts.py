"""A frame of 720 × 1280, BGR, as a network takes it: ours, and what people write."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edgeprep.stages.chain import Chain
from edgeprep.stages.color import Color
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.primitives.numpy import NumpyPrimitives
from edgeprep.stages.primitives.opencv import OpenCVPrimitives
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

__all__ = ["CONTENDERS", "camera_chain"]

Frame = NDArray[np.uint8]

SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def camera_chain(*, antialias: bool, height: int = 720, width: int = 1280) -> Chain:
    """`(1, H, W, 3)`, uint8 BGR, to `(1, 3, 224, 224)`, float32 RGB, normalized."""
    return Chain(
        input=ImageSpec(height=height, width=width, color="bgr"),
        stages=(
            Resize(size=(SIZE, SIZE), antialias=antialias),
            Color(to="rgb"),
            Normalize(mean=MEAN, std=STD),
            Layout(to="nchw"),
        ),
    )


def ours(primitives: NumpyPrimitives, *, antialias: bool) -> Callable[[Frame], object]:
    chain = camera_chain(antialias=antialias)

    def prepare(frame: Frame) -> object:
        x = frame[None]
        for stage, image in chain.steps:
            x = primitives.run(stage, x, image)
        return x

    return prepare


def naive_opencv(frame: Frame) -> object:
    rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    resized = cv2.resize(rgb, (SIZE, SIZE)) / 255.0
    return ((resized - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)


def naive_pillow(frame: Frame) -> object:
    image = Image.fromarray(frame[..., ::-1]).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    scaled = np.asarray(image) / 255.0
    return ((scaled - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)


def by_torch(*, antialias: bool) -> Callable[[Frame], object]:
    """What torchvision's transforms of a tensor come to."""
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (MEAN, STD))

    def prepare(frame: Frame) -> object:
        planes = torch.from_numpy(frame).permute(2, 0, 1)[None].flip(1)
        resized = torch.nn.functional.interpolate(
            planes, (SIZE, SIZE), mode="bilinear", antialias=antialias
        )
        return (resized.to(torch.float32) / 255 - mean) / std

    return prepare


CONTENDERS: dict[str, Callable[[Frame], object]] = {
    "bilinear, ours with OpenCV": ours(OpenCVPrimitives(), antialias=False),
    "bilinear, ours with numpy": ours(NumpyPrimitives(), antialias=False),
    "bilinear, naive OpenCV": naive_opencv,
    "bilinear, torch": by_torch(antialias=False),
    "antialiased, ours with numpy": ours(NumpyPrimitives(), antialias=True),
    "antialiased, naive Pillow": naive_pillow,
    "antialiased, torch": by_torch(antialias=True),
}
