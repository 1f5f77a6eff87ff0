"""Several pictures a call, and several calls at once."""

import re
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import BackendError
from edgeprep.interfaces import Model, Precision, Runner
from edgeprep_openvino import OpenVINOBackend, OpenVINOExporter

MakeSource = Callable[..., NetworkSource]
EXACT = {"threads": 1, "precision": "f32"}


def loaded(model: Model, **options: int) -> Runner:
    backend = OpenVINOBackend()
    return backend.load(model, backend.devices()[0], {**EXACT, **options})


def check_together(model: Model, pictures: dict[str, NDArray[np.uint8]]) -> None:
    """Raise AssertionError unless all pictures at once give what each gives alone."""
    single, many = loaded(model), loaded(model, batch=len(pictures))
    alone = zip(*(single.run([picture]) for picture in pictures.values()), strict=True)
    together = many.run([np.concatenate([*pictures.values()])])
    for found, parts in zip(together, alone, strict=True):
        wanted = np.concatenate(parts)
        assert found.shape == wanted.shape
        # Orders of summation may differ.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_several_pictures_at_once_give_what_each_gives_alone(
    make_source: MakeSource, hard_pictures: dict[str, NDArray[np.uint8]], precision: Precision
) -> None:
    check_together(OpenVINOExporter().export(make_source(), precision), hard_pictures)


class Tokens(nn.Module):
    """Patches with a class token beside them, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.first = nn.Parameter(torch.randn(1, 1, 8))
        self.heads = nn.Linear(8, 24)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        patches = self.patches(preprocessed).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(preprocessed), -1, -1), patches], 1)
        windows = tokens[:, 1:].reshape(1, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5)
        windows = windows.reshape(4, 4, 8) - windows.reshape(4, 4, 8).mean(1, keepdim=True)
        heads = self.heads(tokens).reshape(1, 17, 3, 2, 4).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(*heads.unbind(0))
        attended = attended.transpose(1, 2).reshape(1, 17, 8)
        return torch.cat([attended[:, 0], windows.reshape(1, 16, 8).square().mean(1)], 1)


def test_attention_with_a_class_token_takes_several_pictures(
    make_source: MakeSource, hard_pictures: dict[str, NDArray[np.uint8]]
) -> None:
    torch.manual_seed(0)
    check_together(OpenVINOExporter().export(make_source(Tokens().eval()), "fp32"), hard_pictures)


class Mean(nn.Module):
    """Takes the mean over all pictures, of which torch sees one."""

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        return preprocessed.mean((0, 2, 3))[None]


def test_a_network_that_mixes_pictures_takes_one_and_says_so(make_source: MakeSource) -> None:
    model = OpenVINOExporter().export(make_source(Mean()), "fp32")
    said = "backend 'openvino': outputs of 3 pictures must be [(3, 3)], got [(1, 3)]"
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        loaded(model, batch=3)


@pytest.mark.parametrize(("name", "value"), [("batch", 0), ("calls", 0), ("calls", True)])
def test_widths_are_whole_numbers_from_1(make_source: MakeSource, name: str, value: int) -> None:
    model = OpenVINOExporter().export(make_source(), "fp32")
    said = f"^backend 'openvino': '{name}' must be a whole number from 1, got {value}$"
    with pytest.raises(BackendError, match=said):
        loaded(model, **{name: value})


def test_calls_at_once_are_computed_side_by_side_and_rightly(
    make_source: MakeSource, hard_pictures: dict[str, NDArray[np.uint8]]
) -> None:
    model = OpenVINOExporter().export(make_source(), "fp32")
    backend = OpenVINOBackend()
    runner = backend.load(model, backend.devices()[0], {**EXACT, "calls": 2})
    single = loaded(model)
    wrong: list[str] = []

    def ask(name: str) -> None:
        wanted = single.run([hard_pictures[name]])
        for _ in range(50):
            for found, truth in zip(runner.run([hard_pictures[name]]), wanted, strict=True):
                if not np.allclose(found, truth, rtol=0, atol=1e-5 * np.abs(truth).max() + 1e-6):
                    wrong.append(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in hard_pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    compiled = runner._compiled  # type: ignore[attr-defined]
    assert compiled.get_property("NUM_STREAMS") == 2
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
