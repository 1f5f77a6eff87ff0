"""Networks kept as a state dict and a description, rebuilt from a factory of other shapes."""

import json
from pathlib import Path

import msgspec
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from edgeprep.compress.shapes import (
    Shapes,
    describe,
    load_compressed,
    rebuild,
    save_compressed,
)
from edgeprep.errors import CheckpointError


class Block(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def residual(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        Block(width, 2 * width),
        Block(width, width + 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 4),
    )


def depthwise(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 1),
        nn.Conv2d(width, width, 3, groups=width),
        nn.PReLU(width),
        nn.GroupNorm(width // 2, width),
        nn.ConvTranspose2d(width, 2, 2),
        nn.InstanceNorm2d(2, affine=True),
    )


def flattened(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.Flatten(), nn.Linear(width * 36, 4), nn.Unflatten(1, (2, 2))
    )


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (4 * heads) ** -0.5
        self.sizes = [heads, 4]
        self.position = nn.Parameter(torch.randn(1, 64, width))
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, 4 * heads) for _ in range(3))
        self.out = nn.Linear(4 * heads, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2) + self.position
        parts = (layer(self.norm(x)) for layer in (self.query, self.key, self.value))
        query, key, value = (part.unflatten(2, self.sizes).transpose(1, 2) for part in parts)
        mixed = ((query @ key.transpose(2, 3)) * self.scale).softmax(3) @ value
        return self.out(mixed.transpose(1, 2).flatten(2)).mean(1)


def attention(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 1), SelfAttention(width, width // 4))


class Library(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.mix = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.mean(1))
        return self.mix(x, x, x, need_weights=False)[0]


class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(8, width, bias=False), nn.Linear(8, width, bias=False)
        self.out.weight = self.into.weight
        self.again = self.into
        self.register_buffer("shift", torch.randn(width))
        self.register_buffer("seen", torch.zeros(width), persistent=False)
        self.last_size = None

    def forward(self, x: Tensor) -> Tensor:
        self.last_size = x.shape[-1]
        return self.again(x) + self.out(x) + self.shift


FACTORIES = {
    "residual": residual,
    "depthwise": depthwise,
    "linear after flatten": flattened,
    "attention": attention,
    "attention of torch": Library,
    "tied": Tied,
}
IMAGE = torch.linspace(-1, 1, 3 * 64).reshape(1, 3, 8, 8)


def trained(network: nn.Module) -> nn.Module:
    """`network`, with statistics and weights that no fresh one has."""
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.add_(torch.rand_like(value))
    return network.eval()


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("width", [4, 12, 8], ids=["smaller", "larger", "unchanged"])
def test_a_network_comes_back_from_a_factory_of_other_shapes(name, width, tmp_path):
    network = trained(FACTORIES[name](width))
    expected = network(IMAGE)
    save_compressed(network, tmp_path / "network.safetensors")

    loaded = load_compressed(FACTORIES[name](8).eval(), tmp_path / "network.safetensors")

    assert torch.equal(loaded(IMAGE), expected)
    assert describe(loaded) == describe(network)
    assert repr(loaded) == repr(network)


def test_what_is_rebuilt_can_be_trained_and_frozen_as_before():
    fresh = residual(8)
    fresh[0].weight.requires_grad_(requires_grad=False)
    network = residual(4)

    rebuild(fresh, describe(network), network.state_dict())

    assert not fresh[0].weight.requires_grad
    assert fresh[5].weight.requires_grad
    fresh(IMAGE).sum().backward()
    assert fresh[1].branch[0].weight.grad.shape == (8, 4, 3, 3)


def test_tied_parameters_stay_tied():
    network = Tied(3)
    loaded = rebuild(Tied(8), describe(network), network.state_dict())
    assert loaded.out.weight is loaded.into.weight
    assert loaded.again is loaded.into


def test_parameters_that_a_pass_has_parted_stay_apart():
    network = Tied(3)
    network.out.weight = nn.Parameter(torch.ones(3, 8))
    loaded = rebuild(Tied(8), describe(network), network.state_dict())
    assert loaded.out.weight is not loaded.into.weight
    assert torch.equal(loaded.out.weight, torch.ones(3, 8))


def test_the_description_is_plain():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.LayerNorm((8, 8)))
    assert msgspec.to_builtins(describe(network)) == {
        "format": 1,
        "modules": {
            "": {"kind": "Sequential", "numbers": {}},
            "0": {"kind": "Conv2d", "numbers": {"in_channels": 3, "out_channels": 4, "groups": 1}},
            "1": {"kind": "LayerNorm", "numbers": {"normalized_shape": (8, 8)}},
        },
        "tensors": {"0.weight": (4, 3, 1, 1), "1.weight": (8, 8), "1.bias": (8, 8)},
        "tied": (),
    }


def test_the_description_comes_back_from_json():
    shapes = describe(attention(8))
    text = json.dumps(msgspec.to_builtins(shapes))
    assert msgspec.convert(json.loads(text), Shapes) == shapes


def test_the_file_is_one_that_safetensors_reads(tmp_path: Path):
    network = residual(4)
    save_compressed(network, tmp_path / "network.safetensors")
    state = safetensors.torch.load_file(tmp_path / "network.safetensors")
    assert state.keys() == network.state_dict().keys()


def test_a_file_that_is_there_is_replaced(tmp_path: Path):
    path = tmp_path / "network.safetensors"
    save_compressed(residual(4), path)
    save_compressed(residual(6), path)
    assert load_compressed(residual(8), path)[0].out_channels == 6


def test_a_missing_file_is_named(tmp_path: Path):
    path = tmp_path / "network.safetensors"
    with pytest.raises(CheckpointError, match="must be a file") as caught:
        load_compressed(residual(8), path)
    assert str(caught.value) == f"network.safetensors: must be a file, got {str(path)!r}"


def test_a_file_of_weights_alone_is_refused(tmp_path: Path):
    path = tmp_path / "network.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="that edgeprep saved") as caught:
        load_compressed(residual(8), path)
    assert str(caught.value) == (
        "network.safetensors: must be a network that edgeprep saved, "
        "got KeyError: 'edgeprep.shapes'"
    )


@pytest.mark.parametrize("keep", [0, 7, 100, 3000], ids="{} bytes".format)
def test_a_damaged_file_is_refused(tmp_path: Path, keep: int):
    path = tmp_path / "network.safetensors"
    save_compressed(residual(8), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"network\.safetensors: must be a network that"):
        load_compressed(residual(8), path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            '{"format": 2, "modules": {}, "tensors": {}}',
            "network.safetensors: must have format 1, the one that this version reads, got 2",
        ),
        (
            '{"modules": {}, "tensors": {}, "more": 1}',
            (
                "network.safetensors: must be a network that edgeprep saved, got ValidationError: "
                "Object contains unknown field `more`"
            ),
        ),
        (
            '{"modules": {"": {"kind": "Sequential"}}, "tensors": {}}',
            "network.safetensors: modules: must be those of the network, got missing: 0",
        ),
    ],
    ids=["later format", "unknown field", "does not fit"],
)
def test_a_description_that_cannot_be_used_is_refused(tmp_path: Path, metadata, message):
    path = tmp_path / "network.safetensors"
    safetensors.torch.save_file({}, path, {"edgeprep.shapes": metadata})
    with pytest.raises(CheckpointError, match="must") as caught:
        load_compressed(nn.Sequential(nn.ReLU()), path)
    assert str(caught.value) == message


def test_a_network_without_some_blocks_is_rebuilt(tmp_path: Path):
    network = residual(4)
    network[1] = nn.Identity()
    save_compressed(network, tmp_path / "network.safetensors")
    rebuilt = load_compressed(residual(6), tmp_path / "network.safetensors")
    assert [type(module).__name__ for module in rebuilt][:3] == ["Conv2d", "Identity", "Block"]
    x = torch.rand(2, 3, 9, 9)
    assert torch.equal(rebuilt.eval()(x), network.eval()(x))


def test_a_network_that_does_not_fit_keeps_its_blocks(tmp_path: Path):
    network = residual(4)
    network[1] = nn.Identity()
    shapes = describe(network)
    state = {name: value for name, value in network.state_dict().items() if name != "5.bias"}
    other = residual(4)
    with pytest.raises(CheckpointError, match=r"^state: must be .* got missing: 5\.bias$"):
        rebuild(other, shapes, state)
    assert isinstance(other[1], Block)
