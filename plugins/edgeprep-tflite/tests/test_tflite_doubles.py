"""What networks compute in float64, which TFLite has no arithmetic for."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep_tflite import TFLiteExporter
from edgeprep_tflite._doubles import InFloat32
from edgeprep_tflite._engine import InterpreterRunner


class Places(nn.Module):
    """Waves over the columns, as RT-DETR works them out for every picture."""

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        share = torch.arange(4, dtype=torch.float64) / 4
        waves = torch.arange(preprocessed.shape[-1], dtype=torch.float64)[:, None] / 100**share
        return preprocessed[..., None] * torch.sin(waves).to(preprocessed.dtype)


def test_float64_that_no_picture_changes_is_computed_in_float32(
    make_source: Callable[..., NetworkSource],
) -> None:
    source = make_source(Places().eval())
    content = TFLiteExporter().export(source, "fp32").files["model.tflite"]
    (expected,) = source.run(source.calibration[2:3])
    (found,) = InterpreterRunner(content, threads=1).run((source.calibration[2:3],))
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_float64_becomes_float32_however_it_is_asked_for() -> None:
    whole = torch.arange(3)
    with InFloat32():
        for made in (
            torch.arange(3, dtype=torch.float64),
            whole.to(torch.float64),
            whole.double(),
            whole.type(torch.float64),
            torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64),
        ):
            assert (made.dtype, made.tolist()) == (torch.float32, [0, 1, 2])
        assert whole.to(torch.int32).dtype == torch.int32
