"""What a teacher sees of what its student is given, whichever of them takes films."""

import pytest
import torch
from torch import nn

from edgeprep.compress._looking import Looking
from edgeprep.errors import RecipeError
from edgeprep.tensors import TensorSpec

KEPT = (TensorSpec(name="kept", shape=(1, 2), dtype="float32"),)
# Two samples of three frames; of colour, height and width.
CLIPS = torch.arange(2 * 3 * 2 * 4 * 5, dtype=torch.float32).reshape(2, 3, 2, 4, 5)


class Adds(nn.Module):
    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept = kept + x.sum((2, 3))
        return -kept, kept


class OfPictures(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.ndim == 4
        return x.sum((2, 3))


class OfClips(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (3, 2, 4, 5)
        return x[:, 0].sum((2, 3))


def test_one_that_remembers_goes_through_the_film_of_any_student() -> None:
    (found,) = Looking(Adds(), KEPT, 1)(CLIPS)
    assert torch.equal(found, -CLIPS.sum((1, 3, 4)))


def test_for_one_that_remembers_a_picture_is_a_film_of_one_frame() -> None:
    (found,) = Looking(Adds(), KEPT, 1)(CLIPS[:, 1])
    assert torch.equal(found, -CLIPS[:, 1].sum((2, 3)))


def test_one_of_single_pictures_answers_for_the_last_frame() -> None:
    assert torch.equal(Looking(OfPictures(), (), 1)(CLIPS), CLIPS[:, 2].sum((2, 3)))


@pytest.mark.parametrize("frames", [3, None])
def test_one_of_clips_takes_them_whole(frames: int | None) -> None:
    assert torch.equal(Looking(OfClips(), (), frames)(CLIPS), CLIPS[:, 0].sum((2, 3)))


@pytest.mark.parametrize(("given", "got"), [(CLIPS, 3), (CLIPS[:, 0], 1)])
def test_one_of_other_clips_is_refused(given: torch.Tensor, got: int) -> None:
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- whole message
        Looking(OfClips(), (), 4)(given)
    assert str(caught.value) == f"must get 4 frames, as it takes at once, got {got}"
