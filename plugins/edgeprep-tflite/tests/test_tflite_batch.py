"""Several pictures a call, and several calls at once."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgeprep.conversion.source import NetworkSource
from edgeprep.errors import BackendError
from edgeprep.interfaces import Model, Options, Precision, Runner
from edgeprep.runtime.widths import load_wide
from edgeprep.stages.chain import Chain
from edgeprep.stages.dtype import DType
from edgeprep.stages.layout import Layout
from edgeprep.stages.normalize import Normalize
from edgeprep.tensors import ImageSpec
from edgeprep_tflite import LiteRTBackend, TFLiteExporter

SIZE = 16
PICTURES = np.random.default_rng(1).integers(0, 256, (16, SIZE, SIZE, 3), np.uint8)
PICTURES[0], PICTURES[1] = 0, 255
CHAIN = Chain(
    input=ImageSpec(height=SIZE, width=SIZE),
    stages=(
        Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        DType(to="float32"),
        Layout(to="nchw"),
    ),
)


@pytest.fixture(scope="module")
def exported(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Model]:
    """What the exporter makes of `network`, or of the one that is given, without a resize."""

    def export(precision: Precision, other: nn.Module | None = None) -> Model:
        scratch = tmp_path_factory.mktemp("scratch")
        source = NetworkSource(other or network, CHAIN, PICTURES, scratch=scratch)
        return TFLiteExporter().export(source, precision)

    return export


def loaded(model: Model, **options: int) -> Runner:
    backend = LiteRTBackend()
    return backend.load(model, backend.devices()[0], {"threads": 1, **options})


def check_together(model: Model) -> None:
    """Raise AssertionError unless pictures at once give what each gives alone."""
    single, many = loaded(model), loaded(model, batch=4)
    alone = zip(*(single.run([picture[np.newaxis]]) for picture in PICTURES[:4]), strict=True)
    for found, parts in zip(many.run([PICTURES[:4]]), alone, strict=True):
        wanted = np.concatenate(parts)
        assert found.shape == wanted.shape
        # Orders of summation may differ.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


# Of the precisions, the others differ in nothing that a batch could matter to.
@pytest.mark.parametrize("precision", ["fp32", "int8", "int8-dynamic"])
def test_several_pictures_at_once_give_what_each_gives_alone(
    exported: Callable[..., Model], precision: Precision
) -> None:
    check_together(exported(precision))


class Reshaping(nn.Module):
    """Patches, laid out and put together again; what torch has seen of it is one picture."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)

    def forward(self, preprocessed: torch.Tensor) -> torch.Tensor:
        plane = self.patches(preprocessed)
        windows = plane.reshape(1, 8, 2, 2, 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(4, 4, 8)
        return (windows.square() - windows).reshape(1, 16, 8).transpose(1, 2).flatten(1)


def test_changes_of_shape_leave_room_for_several_pictures(
    exported: Callable[..., Model],
) -> None:
    torch.manual_seed(0)
    check_together(exported("fp32", Reshaping()))


def test_a_network_that_has_no_room_for_several_is_refused_and_takes_one(
    models: Mapping[Precision, Model],
    backend: LiteRTBackend,
    hard_pictures: dict[str, NDArray[np.uint8]],
) -> None:
    # Its resize in the graph moves the axis of pictures as if it were none.
    said = "batch: output 'scores' must have shape (4, 10) for 4 pictures, got (1, 10)"
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        load_wide(backend, models["fp32"], backend.devices()[0], {"threads": 1, "batch": 4})
    (scores, *_) = loaded(models["fp32"]).run([hard_pictures["noise"]])
    assert scores.shape == (1, 10)


def test_calls_are_so_many_as_is_asked_for(models: Mapping[Precision, Model]) -> None:
    runner = loaded(models["fp32"], calls=3)
    places = runner._places  # type: ignore[attr-defined]
    assert [places.acquire(blocking=False) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("options", [{"batch": 0}, {"calls": True}], ids=["batch", "calls"])
def test_widths_are_whole_numbers_from_1(
    models: Mapping[Precision, Model], options: Options
) -> None:
    ((name, value),) = options.items()
    said = f"backend 'litert': option {name!r} must be a whole number from 1, got {value!r}"
    with pytest.raises(BackendError, match=f"^{re.escape(said)}$"):
        loaded(models["fp32"], **options)  # type: ignore[arg-type]
