"""Networks with fewer channels: what goes, what stays, and that they still run."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeprep.compress.prune import Prune
from edgeprep.compress.shapes import load_compressed, save_compressed
from edgeprep.train.outputs import flatten_outputs

IMAGE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)]


def unit(arriving: int, leaving: int, size: int = 3, **options: Any) -> nn.Sequential:
    layer = nn.Conv2d(arriving, leaving, size, padding=size // 2, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(leaving), nn.ReLU())


def plain() -> nn.Module:
    return nn.Sequential(unit(3, 16), unit(16, 32), *head(32))


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual() -> nn.Module:
    block = nn.Sequential(unit(16, 32), unit(32, 16, 1))
    return nn.Sequential(unit(3, 16), Residual(block), Residual(unit(16, 16)), *head(16))


def inverted() -> nn.Module:
    block = nn.Sequential(unit(16, 64, 1), unit(64, 64, groups=64), unit(64, 16, 1))
    return nn.Sequential(unit(3, 16), Residual(block), *head(16))


def grouped() -> nn.Module:
    norm = nn.Sequential(nn.GroupNorm(4, 32), nn.ReLU())
    return nn.Sequential(unit(3, 32), norm, unit(32, 64, groups=2), unit(64, 16, 1), *head(16))


def flattened() -> nn.Module:
    return nn.Sequential(
        unit(3, 16), nn.Flatten(), nn.Linear(16 * 144, 32), nn.PReLU(32), nn.Linear(32, 3)
    )


def upsampled() -> nn.Module:
    up = nn.ConvTranspose2d(16, 24, 2, stride=2)
    return nn.Sequential(unit(3, 16), up, nn.PReLU(24), nn.InstanceNorm2d(24), *head(24))


class Squeeze(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(width, 16, 1), nn.Conv2d(16, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu())
        return x * scale.sigmoid()


class Joined(nn.Module):
    """Two branches side by side, as in DenseNet, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = unit(3, 16), unit(16, 24)
        self.norm = nn.BatchNorm2d(40)
        self.squeeze = Squeeze(40)
        self.classes, self.heat = nn.Linear(40, 3), nn.Conv2d(40, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        left = self.left(x)
        joined = self.squeeze(self.norm(torch.cat([left, self.right(left)], 1)))
        return {"classes": self.classes(joined.mean((2, 3))), "heat": self.heat(joined)}


class SelfAttention(nn.Module):
    """Separate layers for queries, keys and values, as in transformers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_attention_heads = heads
        self.attention_head_size = width // heads
        self.all_head_size = width
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dense = nn.Linear(width, width)

    def _parted(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:-1], self.num_attention_heads, self.attention_head_size)
        return x.view(shape).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._parted(f(x)) for f in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / self.attention_head_size**0.5
        mixed = (scores.softmax(-1) @ value).permute(0, 2, 1, 3)
        return self.dense(mixed.reshape(*mixed.shape[:2], self.all_head_size))


class FusedAttention(nn.Module):
    """One layer for all three, as in timm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.attn_dim = heads, width // heads, width
        self.scale = self.head_dim**-0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        count, tokens, _ = x.shape
        parts = self.qkv(x).reshape(count, tokens, 3, self.num_heads, self.head_dim)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.proj(mixed.transpose(1, 2).reshape(count, tokens, self.attn_dim))


class Transformer(nn.Module):
    def __init__(self, attention: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 32))
        self.position = nn.Parameter(torch.randn(1, 10, 32))
        self.first, self.second = nn.LayerNorm(32), nn.LayerNorm(32)
        self.attention = attention(32, 4)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.gain = nn.Parameter(torch.rand(32))
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        x = x + self.gain * self.attention(self.first(x))
        return self.head((x + self.mlp(self.second(x)))[:, 0])


FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "residual": residual,
    "inverted residual": inverted,
    "grouped": grouped,
    "flattened": flattened,
    "upsampled": upsampled,
    "joined": Joined,
    "attention of transformers": lambda: Transformer(SelfAttention),
    "attention of timm": lambda: Transformer(FusedAttention),
}


def settled(network: nn.Module) -> nn.Module:
    """`network` with statistics, in eval mode, as it comes to a pass."""
    network.train()(torch.randn(8, 3, 12, 12))
    return network.eval().requires_grad_(requires_grad=False)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def outputs(network: nn.Module) -> list[Tensor]:
    return list(flatten_outputs(network(IMAGE)).values())


@pytest.mark.parametrize("name", FACTORIES)
def test_half_of_the_channels_go_and_the_network_runs(name, workbench, tmp_path):
    network = settled(FACTORIES[name]())
    bench = workbench(network)
    before = outputs(network)

    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), bench)

    assert [value.shape for value in outputs(pruned)] == [value.shape for value in before]
    # Inside, layers lose half of what they take and half of what they give.
    assert count(pruned) < 0.55 * count(network)
    (_, told), *_ = bench.told
    found, of, total, _ = told.split(maxsplit=3)
    assert (found, of) == (total, "of")
    save_compressed(pruned, tmp_path / "pruned.safetensors")
    again = load_compressed(FACTORIES[name]().eval(), tmp_path / "pruned.safetensors")
    assert all(map(torch.equal, outputs(again), outputs(pruned)))


@pytest.mark.parametrize("name", FACTORIES)
def test_what_comes_in_and_goes_out_keeps_its_channels(name, workbench):
    network = settled(FACTORIES[name]())
    pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), workbench(network))
    layers = [m for m in pruned.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert layers[0].weight.shape[1] == 3
    inner = [layer.weight.shape[0] for layer in layers if layer.weight.shape[0] > 3]
    assert all(channels % 8 == 0 for channels in inner)


def test_attention_loses_whole_heads(workbench):
    for kind in (SelfAttention, FusedAttention):
        network = settled(Transformer(kind))
        pruned = Prune(ratio=0.5).apply(copy.deepcopy(network), workbench(network))
        heads = vars(pruned.attention).get("num_attention_heads", 0) or pruned.attention.num_heads
        widths = [m.weight.shape for m in pruned.attention.children()]
        assert heads == 2
        assert widths[0] == ((16, 16) if kind is SelfAttention else (48, 16))
        assert widths[-1] == (16, 16)


def test_channels_that_do_nothing_go_first_and_nothing_changes(workbench):
    network = settled(residual())
    for path, dead in (("1.branch.0.0", range(16, 32)), ("0.0", ()), ("1.branch.1.0", ())):
        network.get_submodule(path).weight[list(dead)] = 0
    norm = network.get_submodule("1.branch.0.1")
    norm.weight[16:] = norm.bias[16:] = norm.running_mean[16:] = 0
    network.get_submodule("1.branch.1.0").weight[:, 16:] = 0
    before = network(IMAGE)

    pruned = Prune(ratio=0.5, keep=("0", "1.branch.1", "2")).apply(
        copy.deepcopy(network), workbench(network)
    )

    assert pruned.get_submodule("1.branch.0.0").out_channels == 16
    torch.testing.assert_close(pruned(IMAGE), before)


def ranked() -> nn.Module:
    """Four channels; by l1, l2, scale and gradient another one of them matters least."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), *head(4))
    network.requires_grad_(requires_grad=False).eval()
    weight, norm, last = network[0].weight, network[1].weight, network[4].weight
    # Sums of absolute values 4, 5, 9 and 9, of squares 16, 9, 27 and 27, which outweigh the rest …
    weight[:] = torch.tensor([[4.0, 0, 0], [2, 2, 1], [3, 3, 3], [3, 3, 3]])[..., None, None]
    norm[:] = torch.tensor([1.0, 1, 0.9, 1])
    # … and the last channel tells no class from another.
    last[:] = torch.tensor([[0.5, 0.5, 0.5, 0], [-0.5, 0.5, -0.5, 0], [0.5, -0.5, 0.5, 0]])
    return network


@pytest.mark.parametrize(
    ("importance", "least"), [("l1", 0), ("l2", 1), ("bn-scale", 2), ("taylor", 3)]
)
def test_each_importance_finds_another_channel_least(importance, least, workbench):
    network = ranked()
    marks = network[0].bias
    marks[:] = torch.arange(4.0)
    pruned = Prune(ratio=0.25, round_to=1, importance=importance).apply(
        copy.deepcopy(network), workbench(network)
    )
    assert pruned[0].bias.tolist() == [mark for mark in range(4) if mark != least]


def test_global_scope_takes_the_channels_that_matter_least_anywhere(workbench):
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), *head(8))
    network.requires_grad_(requires_grad=False).eval()
    for layer in (network[0], network[2], network[5]):
        layer.weight.fill_(1.0)
    # Six channels of the second layer, and what reads them, hardly count.
    network[2].weight[:6] = 0.01
    network[5].weight[:, :6] = 0.01
    pruned = Prune(ratio=6 / 16, round_to=1, scope="global").apply(
        copy.deepcopy(network), workbench(network)
    )
    assert (pruned[0].out_channels, pruned[2].out_channels) == (8, 2)


def test_kept_modules_keep_what_they_give(workbench):
    network = settled(plain())
    pruned = Prune(ratio=0.5, keep=("1",)).apply(copy.deepcopy(network), workbench(network))
    assert [pruned[0][0].out_channels, pruned[1][0].out_channels] == [8, 32]


def test_limits_hold_by_pattern_and_the_lowest_counts(workbench):
    network = settled(nn.Sequential(unit(3, 32), unit(32, 32), unit(32, 32), *head(32)))
    limits = {"0": 0.25, "[01]": 0.5}
    pruned = Prune(ratio=0.75, limits=limits).apply(copy.deepcopy(network), workbench(network))
    assert [pruned[index][0].out_channels for index in range(3)] == [24, 16, 8]


def test_max_parameters_is_met_with_as_few_channels_less_as_can_be(workbench):
    network = settled(plain())
    pruned = Prune(max_parameters=3000, round_to=1).apply(
        copy.deepcopy(network), workbench(network)
    )
    assert 2700 < count(pruned) <= 3000


def test_parameters_that_did_not_learn_do_not_learn_afterwards(workbench):
    network = settled(plain())
    network[4].weight.requires_grad_()
    pruned = Prune(ratio=0.5, importance="taylor").apply(copy.deepcopy(network), workbench(network))
    learning = [name for name, value in pruned.named_parameters() if value.requires_grad]
    assert learning == ["4.weight"]
    assert all(parameter.grad is None for parameter in pruned.parameters())
    assert not pruned.training


def test_steps_prune_and_learn_in_turns(workbench):
    network = settled(plain())
    bench = workbench(network)
    pruned = Prune(ratio=0.75, steps=3, epochs=1).apply(copy.deepcopy(network), bench)
    assert bench.trained == [("step-1", 1), ("step-2", 1), ("step-3", 1)]
    assert [pruned[0][0].out_channels, pruned[1][0].out_channels] == [8, 8]
    assert [title for title, _ in bench.told] == [
        "prune: find groups of channels",
        "prune: step 1 of 3",
        "prune: step 2 of 3",
        "prune: step 3 of 3",
    ]


def test_what_was_killed_between_two_steps_ends_with_the_same_network(workbench):
    network = settled(plain())
    settings = Prune(speedup=2.0, steps=2, epochs=1)
    bench = workbench(network)
    whole = settings.apply(copy.deepcopy(network), bench)
    # As after a kill in the second training; and measurements never repeat themselves.
    (bench.storage / "step-2.safetensors").unlink()
    bench.measure = lambda _: {"fake": 1.0}
    resumed = settings.apply(copy.deepcopy(network), bench)
    assert bench.trained == [("step-1", 1), ("step-2", 1), ("step-2", 1)]
    assert torch.equal(resumed(IMAGE), whole(IMAGE))


def test_pruning_is_repeatable(workbench):
    network = settled(Transformer(SelfAttention))
    settings = Prune(ratio=0.5, scope="global", importance="taylor")
    first, second = (settings.apply(copy.deepcopy(network), workbench(network)) for _ in range(2))
    assert torch.equal(first(IMAGE), second(IMAGE))
