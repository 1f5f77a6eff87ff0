"""Hints: modules of a student that learn to see what modules of its teacher see."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.compress._hints import Hints, find_modules, recorded
from edgeprep.compress.distil import Hint
from edgeprep.errors import RecipeError


def network(width: int, *, size: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, stride=size),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 2),
    )


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def hints_of(
    hint: Hint, ours: torch.Tensor, theirs: torch.Tensor
) -> tuple[Hints, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    seen = {hint.student: ours}, {hint.teacher: theirs}
    return (Hints((hint,), {}, {}, *seen), *seen)


def test_an_adapter_brings_channels_to_those_of_the_teacher() -> None:
    hint = Hint(student="0", teacher="1", weight=0.5)
    ours, theirs = noise(2, 3, 4, 4, seed=1), noise(2, 5, 4, 4, seed=2)
    hints, *seen = hints_of(hint, ours, theirs)
    (adapter,) = hints.adapters
    weight, bias = adapter.weight.detach()[:, :, 0, 0].numpy(), adapter.bias.detach().numpy()
    adapted = np.einsum("oc,nchw->nohw", weight, ours.numpy()) + bias[:, None, None]
    expected = 0.5 * np.mean((adapted - theirs.numpy()) ** 2)
    assert hints.loss(*seen).item() == pytest.approx(expected, rel=1e-5)


def test_maps_of_another_size_are_brought_to_that_of_the_teacher() -> None:
    hint = Hint(student="0", teacher="1")
    # Each 2 × 2 of constant maps is one pixel of the teacher, so that nothing but values counts.
    ours, theirs = torch.ones(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)
    hints, *seen = hints_of(hint, ours, theirs)
    (adapter,) = hints.adapters
    value = adapter.weight.detach().sum((1, 2, 3)) + adapter.bias.detach()
    assert hints.loss(*seen).item() == pytest.approx(float((value**2).mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"), [((2, 3), (2, 5)), ((2, 6, 3), (2, 6, 5)), ((2, 9, 3), (2, 6, 5))]
)
def test_vectors_and_tokens_have_linear_adapters(
    ours: tuple[int, ...], theirs: tuple[int, ...]
) -> None:
    mine, wanted = noise(*ours, seed=1), noise(*theirs, seed=2)
    hints, *seen = hints_of(Hint(student="0", teacher="1"), mine, wanted)
    (adapter,) = hints.adapters
    assert (adapter.in_features, adapter.out_features) == (3, 5)
    weight, bias = adapter.weight.detach().numpy(), adapter.bias.detach().numpy()
    adapted = mine.numpy() @ weight.T + bias
    if len(ours) == 3:
        adapted = np.stack([resampled(tokens, theirs[1]) for tokens in adapted])
    expected = np.mean((adapted - wanted.numpy()) ** 2)
    loss = hints.loss(*seen)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert adapter.weight.grad is not None
    assert bool(adapter.weight.grad.any())


def resampled(tokens: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """`(tokens, channels)` to `count` tokens, between the two nearest, centres at half-integers."""
    places = (np.arange(count) + 0.5) * len(tokens) / count - 0.5
    channels = [np.interp(places, np.arange(len(tokens)), channel) for channel in tokens.T]
    return np.stack(channels, 1)


def test_adapters_start_alike_in_every_run_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (
        hints_of(Hint(student="0", teacher="1"), torch.ones(1, 2), torch.ones(1, 3))[0]
        for _ in range(2)
    )
    assert torch.equal(first.adapters[0].weight, second.adapters[0].weight)
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_modules_give_is_seen_inside_the_block_only() -> None:
    student = network(4)
    with recorded({"1": student[1]}) as seen:
        student(torch.zeros(1, 3, 6, 6))
    assert {path: tuple(value.shape) for path, value in seen.items()} == {"1": (1, 4, 6, 6)}
    seen.clear()
    student(torch.zeros(1, 3, 6, 6))
    assert not seen


def test_what_a_later_operation_overwrites_was_seen_before() -> None:
    layer = nn.Linear(3, 4)
    inputs = noise(5, 3, seed=1)
    with recorded({"0": layer}) as seen:
        nn.Sequential(layer, nn.ReLU(inplace=True))(inputs)
    assert torch.equal(seen["0"], layer(inputs))
    assert seen["0"].requires_grad


@pytest.mark.parametrize(
    ("ours", "theirs"), [((2, 3, 4, 4), (2, 3)), ((2,), (2,)), ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5))]
)
def test_outputs_of_other_ranks_are_refused(ours: Any, theirs: Any) -> None:
    message = (
        r"^distil.hints\[0\]: must join outputs of two, three or four axes, as many on both "
        rf"sides, got \({', '.join(map(str, ours))},?\) and \({', '.join(map(str, theirs))},?\)$"
    )
    with pytest.raises(RecipeError, match=message):
        hints_of(Hint(student="0", teacher="1"), torch.zeros(ours), torch.zeros(theirs))


def test_outputs_of_other_rows_for_a_sample_are_refused() -> None:
    message = (
        r"^distil.hints\[0\]: must join outputs with as many rows for a sample on both sides, "
        r"got \(1, 4\) and \(3, 4\)$"
    )
    with pytest.raises(RecipeError, match=message):
        hints_of(Hint(student="0", teacher="1"), torch.zeros(1, 4), torch.zeros(3, 4))


def test_a_module_that_returns_no_tensor_is_refused() -> None:
    message = (
        r"^distil.hints\[0\].teacher: must be a module that is called, and returns one tensor, "
        r"got '1', which does not$"
    )
    with pytest.raises(RecipeError, match=message):
        Hints((Hint(student="0", teacher="1"),), {}, {}, {"0": torch.zeros(1, 2)}, {})


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Identity(), nn.Identity())
        self.classifier = nn.Identity()


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("feature", "; did you mean 'features'?"),
        ("layer3", "; known here: 'features', 'classifier', 'features.0', 'features.1'"),
    ],
)
def test_an_unknown_module_is_refused_with_the_nearest_one(path: str, remedy: str) -> None:
    hints = (Hint(student="features", teacher="x"), Hint(student=path, teacher="x"))
    message = (
        rf"^distil.hints\[1\].student: must be the path of a module of the student, "
        rf"got '{path}'{remedy}$"
    ).replace("?$", r"\?$")
    with pytest.raises(RecipeError, match=message):
        find_modules(Named(), hints, "student")


def test_a_pattern_is_no_module() -> None:
    message = (
        r"^distil.hints\[0\].student: must be the path of a module of the student, and no pattern, "
        r"got 'features.\*'; did you mean 'features.[01]'\?$"
    )
    with pytest.raises(RecipeError, match=message):
        find_modules(Named(), (Hint(student="features.*", teacher="x"),), "student")


def test_of_many_modules_the_outermost_are_listed() -> None:
    deep = nn.Sequential(*[nn.Sequential(nn.Identity()) for _ in range(9)])
    with pytest.raises(RecipeError, match=r"; known here: '0', '1', .*'7' and 10 more$"):
        find_modules(deep, (Hint(student="x", teacher="zzzz"),), "teacher")
