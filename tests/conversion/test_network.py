"""The source network: what may come from a factory and from a file of weights."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from edgeprep.errors import CheckpointError, RecipeError
from edgeprep.recipe import ModelTable
from edgeprep.train import load_network

State = dict[str, torch.Tensor]

FACTORIES = """
import torch


def build(width=2):
    return torch.nn.Linear(3, width)


def raises():
    raise KeyError("hub")


def leaves():
    raise SystemExit(0)


def number():
    return 3
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(FACTORIES)
    return tmp_path


@pytest.fixture
def load(directory: Path) -> Callable[..., torch.nn.Module]:
    def load(factory: str = "model:build", **fields: object) -> torch.nn.Module:
        return load_network(ModelTable(factory=factory, **fields), directory)  # type: ignore[arg-type]

    return load


@pytest.fixture
def state() -> State:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([0.5, -1.5])}


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_are_loaded_and_the_network_is_ready_to_export(
    load: Callable[..., torch.nn.Module], directory: Path, state: State, name: str
) -> None:
    if name.endswith("pt"):
        torch.save(state, directory / name)
    else:
        safetensors.torch.save_file(state, directory / name)
    network = load(weights=name)
    assert torch.equal(network.weight, state["weight"])  # type: ignore[arg-type]
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_arguments_reach_the_factory(load: Callable[..., torch.nn.Module]) -> None:
    assert load(arguments={"width": 7}).out_features == 7


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        (
            "model:raises",
            {},
            (
                "model.factory: 'model:raises' must return a torch.nn.Module, "
                "got KeyError: 'hub' (model.py:10)"
            ),
        ),
        (
            "model:leaves",
            {},
            (
                "model.factory: 'model:leaves' must return a torch.nn.Module, "
                "got SystemExit: 0 (model.py:14)"
            ),
        ),
        (
            "model:number",
            {},
            "model.factory: 'model:number' must return a torch.nn.Module, got 'int'",
        ),
        (
            "model:build",
            {"depth": 3},
            (
                "model.factory: 'model:build' must return a torch.nn.Module, "
                "got TypeError: build() got an unexpected keyword argument 'depth'"
            ),
        ),
    ],
)
def test_a_factory_that_gives_no_network_is_refused(
    load: Callable[..., torch.nn.Module],
    factory: str,
    arguments: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(RecipeError, match=r"^model\.factory: ") as fault:
        load(factory, arguments=arguments)
    assert str(fault.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bias"), "missing: bias"),
        (lambda s: s.update(gamma=torch.ones(1)), "unexpected: gamma"),
        (lambda s: s.update(bias=torch.ones(3)), "of another shape: bias (3,) for (2,)"),
        (
            lambda s: (s.pop("bias"), s.update({f"x{i}": torch.ones(1) for i in range(7)})),
            "missing: bias; unexpected: x0, x1, x2, x3, x4 and 2 more",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_the_differences(
    load: Callable[..., torch.nn.Module],
    directory: Path,
    state: State,
    change: Callable[[State], object],
    message: str,
) -> None:
    change(state)
    safetensors.torch.save_file(state, directory / "w.safetensors")
    with pytest.raises(CheckpointError, match="must fit the network") as fault:
        load(weights="w.safetensors")
    assert str(fault.value) == (
        f"model.weights: 'w.safetensors' must fit the network, got keys {message}; load what this "
        "network was saved to, or have the factory make the one that it is of"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(
    load: Callable[..., torch.nn.Module], directory: Path, state: State, value: float
) -> None:
    state["bias"][1] = value
    safetensors.torch.save_file(state, directory / "w.safetensors")
    with pytest.raises(CheckpointError, match="all values must be finite") as fault:
        load(weights="w.safetensors")
    assert str(fault.value) == (
        "model.weights: all values must be finite, got NaN or infinity in tensors: bias"
    )


def test_a_factory_whose_weights_are_not_finite_is_refused(
    load: Callable[..., torch.nn.Module], directory: Path
) -> None:
    (directory / "model.py").write_text(
        "import torch\n\n\ndef build():\n    net = torch.nn.Linear(3, 2)\n"
        "    net.bias.data[0] = torch.nan\n    return net\n"
    )
    with pytest.raises(CheckpointError, match="all values must be finite") as fault:
        load()
    assert str(fault.value) == (
        "model.factory: all values must be finite, got NaN or infinity in tensors: bias"
    )


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def test_a_pickle_that_names_code_is_refused_and_nothing_of_it_runs(
    load: Callable[..., torch.nn.Module], directory: Path
) -> None:
    canary = directory / "canary"
    (directory / "old").mkdir()
    torch.save({"weight": _Canary(canary)}, directory / "old" / "evil.pt")
    with pytest.raises(CheckpointError, match="must hold tensors only") as fault:
        load(weights="old/evil.pt")
    assert str(fault.value) == (
        "model.weights: 'old/evil.pt' must hold tensors only, got a pickle that names other "
        "things; save network.state_dict(), best as safetensors"
    )
    assert not canary.exists()


def test_a_whole_pickled_network_is_refused(
    load: Callable[..., torch.nn.Module], directory: Path
) -> None:
    torch.save(torch.nn.Linear(3, 2), directory / "whole.pt")
    with pytest.raises(CheckpointError, match="must hold tensors only"):
        load(weights="whole.pt")


def test_a_file_of_one_tensor_is_no_state_dict(
    load: Callable[..., torch.nn.Module], directory: Path
) -> None:
    torch.save(torch.ones(3), directory / "tensor.pt")
    with pytest.raises(CheckpointError, match="must be a state dict of tensors, got 'Tensor'"):
        load(weights="tensor.pt")


def test_missing_weights_are_named(load: Callable[..., torch.nn.Module], directory: Path) -> None:
    with pytest.raises(CheckpointError, match="must be a file") as fault:
        load(weights="w.safetensors")
    assert str(fault.value) == (
        "model.weights: must be a file, got 'w.safetensors'; "
        f"looked for {str(directory / 'w.safetensors')!r}"
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(struct.pack("<Q", 1 << 60) + b"{}", id="header longer than the file"),
        pytest.param(struct.pack("<Q", 2) + b"{}" + b"x", id="bytes that no tensor covers"),
    ],
)
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_damaged_weights_are_refused(
    load: Callable[..., torch.nn.Module], directory: Path, content: bytes, name: str
) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model.weights: '{name}' must"):
        load(weights=name)
