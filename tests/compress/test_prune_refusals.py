"""What cannot be pruned stays, or is refused, with the reason and before any damage."""

import copy

import pytest
import torch
from torch import Tensor, nn

from edgeprep.compress.prune import Prune
from edgeprep.errors import ConvertError, RecipeError

SHUFFLED = "they are shuffled, cut or repeated on their way to the layers that read them"
IMAGE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Shuffling(nn.Module):
    """A unit of ShuffleNet V2: half of the channels go through, then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, groups=half),
            nn.Conv2d(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        joined = torch.cat([kept, self.branch(changed)], 1)
        count, width, *size = joined.shape
        return joined.view(count, 2, width // 2, *size).transpose(1, 2).reshape(joined.shape)


class Called(nn.Module):
    """A layer, a function of what it gives, and a layer that reads it."""

    def __init__(self, function, width: int = 16, reads: int = 16) -> None:
        super().__init__()
        self.into, self.out = nn.Conv2d(3, width, 1), nn.Conv2d(reads, 32, 1)
        self.last = nn.Conv2d(32, 3, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.out(self.function(self.into(x)))).mean((2, 3))


def shuffled(x: Tensor) -> Tensor:
    return nn.functional.channel_shuffle(x, 4)


def flipped(x: Tensor) -> Tensor:
    return x.flip(1)


def weighed_by_all(x: Tensor) -> Tensor:
    return x * x.mean(1, keepdim=True)


def to_pixels(x: Tensor) -> Tensor:
    return nn.functional.pixel_shuffle(x, 2)


def leave_autograd(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy())


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)]


def ready(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(requires_grad=False)


def told(bench) -> str:
    return bench.told[0][1]


def test_a_channel_shuffle_stays_and_what_is_between_two_goes(workbench):
    network = ready(nn.Sequential(nn.Conv2d(3, 32, 3), Shuffling(32), Shuffling(32), *head(32)))
    bench = workbench(network)

    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), bench)

    assert told(bench) == f"2 of 5 groups; '2.branch.4', '1.branch.4', '0' stay: {SHUFFLED}"
    assert [pruned[i].branch[0].out_channels for i in (1, 2)] == [8, 8]
    assert [pruned[i].branch[4].out_channels for i in (1, 2)] == [16, 16]
    assert pruned[0].out_channels == 32
    assert pruned(IMAGE).shape == (2, 3)


@pytest.mark.parametrize(
    ("function", "reads", "reason"),
    [
        (shuffled, 16, "they are shuffled, cut or averaged on their way"),
        (flipped, 16, "they are shuffled, cut or averaged on their way"),
        (weighed_by_all, 16, "they are shuffled, cut or averaged on their way"),
        (to_pixels, 4, "they are shuffled, cut or repeated on their way"),
    ],
    ids=["shuffle", "flip", "mean over channels", "pixel shuffle"],
)
def test_what_the_graph_is_wrong_about_is_found_by_trying(function, reads, reason, workbench):
    network = ready(Called(function, reads=reads))
    bench = workbench(network)
    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), bench)
    assert told(bench).startswith(f"1 of 2 groups; 'into' stays: {reason}")
    assert (pruned.into.out_channels, pruned.out.out_channels) == (16, 16)


def test_zeros_of_a_fresh_network_hide_no_mistake(workbench):
    network = ready(Called(shuffled))
    network.out.weight.zero_()
    bench = workbench(network)
    Prune(ratio=0.5).apply(copy.deepcopy(network), bench)
    assert told(bench).startswith("1 of 2 groups; 'into' stays: they are shuffled")


def test_attention_of_torch_keeps_its_width_and_the_layers_between_lose_theirs(workbench):
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 4, stride=4)
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(self.patches(x).flatten(2).transpose(1, 2)).mean(1))

    network = ready(Encoder())
    bench = workbench(network)
    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), bench)
    assert told(bench) == (
        "1 of 2 groups; 'layer.linear2' stays: 'layer.self_attn' is a torch.nn.MultiheadAttention, "
        "whose heads share all of its width"
    )
    assert pruned.layer.linear1.out_features == 16


def test_attention_of_heads_of_its_own_kind_stays(workbench):
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into = nn.Conv2d(3, 16, 4, stride=4)
            self.ask, self.answer, self.say = (nn.Linear(16, 16) for _ in range(3))
            self.out = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 3))

        def forward(self, x: Tensor) -> Tensor:
            x = self.into(x).flatten(2).transpose(1, 2)
            parts = (f(x).unflatten(2, (4, -1)) for f in (self.ask, self.answer, self.say))
            ask, answer, say = (part.transpose(1, 2) for part in parts)
            mixed = (ask @ answer.transpose(2, 3)).softmax(3) @ say
            return self.out(mixed.transpose(1, 2).flatten(2)).mean(1)

    network = ready(Attention())
    bench = workbench(network)
    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), bench)
    assert "'say' stays: they are shuffled, cut or" in told(bench)
    assert pruned.say.out_features == pruned.ask.out_features == 16
    assert pruned.out[0].out_features == 16


def test_an_input_that_is_added_keeps_its_channels(workbench):
    class Refining(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 3, 1)
            self.head = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((x + self.outer(self.inner(x))).mean((2, 3)))

    network = ready(Refining())
    bench = workbench(network)
    pruned = Prune(ratio=0.5, round_to=1).apply(copy.deepcopy(network), bench)
    assert told(bench).startswith(
        "1 of 2 groups; 'outer' stays: the network does not run without them, RuntimeError: "
    )
    assert (pruned.inner.out_channels, pruned.outer.out_channels) == (8, 3)


def test_layers_without_batch_normalization_are_not_ranked_by_it(workbench):
    network = ready(
        nn.Sequential(
            nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 1), *head(16)
        )
    )
    bench = workbench(network)
    pruned = Prune(ratio=0.5, importance="bn-scale").apply(copy.deepcopy(network), bench)
    assert told(bench) == "1 of 2 groups; '3' stays: no batch normalization scales them"
    assert (pruned[0].out_channels, pruned[3].out_channels) == (8, 16)


REFUSED = {
    "nothing inside": (
        lambda: nn.Sequential(*head(3)),
        {"ratio": 0.5},
        "prune: must find channels that can go, got 0 of 0 groups",
    ),
    "nothing but what is kept": (
        lambda: nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 1), *head(8)),
        {"ratio": 0.5, "keep": ("0",)},
        (
            "prune: must find channels that can go, got 0 of 2 groups; "
            "'1' stays: no lower count than 8 is a multiple of 8; '0' stays: keep says so; "
            "lower round_to, or keep less"
        ),
    ),
    "a speed that nothing gives": (
        lambda: nn.Sequential(nn.Conv2d(3, 16, 1), *head(16)),
        {"speedup": 8.0},
        (
            "prune: speedup must be at least 8 in every format, got at most 1.949, in 'fake' "
            "at ratio 0.65"
        ),
    ),
    "no autograd": (
        lambda: Called(leave_autograd),
        {"ratio": 0.5},
        (
            "prune: the network must run with gradients, by which it is traced, got RuntimeError: "
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead. "
            f"(test_prune_refusals.py:{leave_autograd.__code__.co_firstlineno + 1})"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused(name, workbench):
    make, options, message = REFUSED[name]
    network = ready(make())
    with pytest.raises(ConvertError, match="prune") as caught:
        Prune(**options).apply(network, workbench(copy.deepcopy(network)))
    assert str(caught.value) == message


WRONG = {
    "too little": (
        {"ratio": 0.02},
        ("prune: must remove channels, got 0 after rounding to 8; raise ratio, or lower round_to"),
    ),
    "parameters that must be there": (
        {"max_parameters": 20},
        (
            "prune.max_parameters: must be at least 131, the fewest that pruning can leave as it "
            "is set, got 20; raise it, or lower round_to, keep less, or start from a smaller "
            "network"
        ),
    ),
    "a ratio that empties a layer": (
        {"ratio": 0.95},
        (
            "prune.ratio: must leave every layer a channel, got 0.95, which leaves none of 16 in "
            "'0'; set a limit for it"
        ),
    ),
    "more parameters than there are": (
        {"max_parameters": 227},
        "prune.max_parameters: must be below 227, what the network has, got 227",
    ),
    "a pattern of nothing to keep": (
        {"ratio": 0.5, "keep": ("1", "conv")},
        (
            "prune.keep[1]: must match a module of the network, got 'conv'; "
            "known here: '0', '1', '2', '3', '4'"
        ),
    ),
    "a pattern of nothing to limit": (
        {"ratio": 0.5, "limits": {"7": 0.5}},
        (
            "prune.limits.7: must match a module of the network, got '7'; "
            "known here: '0', '1', '2', '3', '4'"
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_the_network_is_refused(name, workbench):
    options, message = WRONG[name]
    network = ready(nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 1), *head(8)))
    with pytest.raises(RecipeError, match="must") as caught:
        Prune(**options).apply(network, workbench(copy.deepcopy(network)))
    assert str(caught.value) == message


def test_a_limit_saves_a_layer_from_being_emptied(workbench):
    network = ready(nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 80, 1), *head(80)))
    pruned = Prune(ratio=0.95, limits={"0": 0.5}).apply(copy.deepcopy(network), workbench(network))
    assert (pruned[0].out_channels, pruned[1].out_channels) == (8, 8)


def test_taylor_without_labels_is_refused(workbench):
    network = ready(nn.Sequential(nn.Conv2d(3, 16, 1), *head(16)))
    bench = workbench(copy.deepcopy(network), labelled=False)
    with pytest.raises(RecipeError, match="taylor") as caught:
        Prune(ratio=0.5, importance="taylor").apply(network, bench)
    assert str(caught.value) == (
        "prune.importance: 'taylor' must have labelled training data, got some without; "
        "rank by 'l2'"
    )


def test_a_recipe_without_formats_has_no_speed(workbench):
    network = ready(nn.Sequential(nn.Conv2d(3, 16, 1), *head(16)))
    bench = workbench(copy.deepcopy(network), measure=lambda _: {})
    with pytest.raises(RecipeError, match="no target") as caught:
        Prune(speedup=2.0).apply(network, bench)
    assert str(caught.value) == "prune.speedup: must have a format to measure, got no target"
