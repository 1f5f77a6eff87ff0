"""Fabric by its own words, and what of them is refused."""

import logging
import os

import pytest
import torch
from lightning_fabric.accelerators import ACCELERATOR_REGISTRY

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.train.devices import check_forks, fabric_in_silence, open_fabric, repeatable
from edgeprep.train.possible import explain
from edgeprep.train.threads import threads_for, using_threads


def test_fabric_is_asked_for_what_the_recipe_says():
    settings = TrainTable(
        accelerator="cpu", devices=2, strategy="ddp_fork", precision="bf16-mixed", batch=8
    )
    fabric = open_fabric(settings)
    assert (fabric.world_size, fabric.strategy.precision.precision) == (2, "bf16-mixed")


STRATEGIES = "must be one of 'auto', 'ddp', 'ddp_fork' on 'cpu' here"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"devices": -1}, "devices: must be at least 1 on 'cpu', where each is a process, got -1"),
        ({"strategy": "dpp"}, f"strategy: {STRATEGIES}, got 'dpp'"),
        # What a factory has made does not come into a new process.
        ({"strategy": "ddp_spawn", "devices": 2}, f"strategy: {STRATEGIES}, got 'ddp_spawn'"),
        ({"strategy": "fsdp"}, f"strategy: {STRATEGIES}, got 'fsdp'"),
        # Fabric would go on with others in their places.
        ({"strategy": "dp", "devices": 2}, f"strategy: {STRATEGIES}, got 'dp'"),
        (
            {"precision": "16-mixed"},
            (
                "precision: must be one of '32-true', 'bf16-mixed', 'bf16-true', '64-true' on "
                "'cpu', got '16-mixed'"
            ),
        ),
    ],
    ids=lambda one: "" if isinstance(one, str) else str(one),
)
def test_what_fabric_cannot_do_here_is_told_with_what_it_can(asked, message):
    with pytest.raises(RecipeError, match=r"^train\.") as fault:
        open_fabric(TrainTable(**{"accelerator": "cpu", **asked}))
    assert str(fault.value) == f"train.{message}"


@pytest.fixture
def machine(monkeypatch):
    """Has those accelerators which a test says, each with its number of devices."""

    def have(**counts):
        for name in ("tpu", "mps", "cuda"):
            kind, count = ACCELERATOR_REGISTRY[name]["accelerator"], counts.get(name, 0)
            monkeypatch.setattr(kind, "is_available", staticmethod(lambda count=count: count > 0))
            monkeypatch.setattr(kind, "auto_device_count", staticmethod(lambda count=count: count))

    return have


@pytest.mark.parametrize(
    ("counts", "asked", "message"),
    [
        ({}, {"accelerator": "abacus"}, "accelerator: must be one of 'auto', 'cpu' on this"),
        ({}, {"accelerator": "gpu"}, "accelerator: must be one of 'auto', 'cpu' on this machine"),
        (
            {"cuda": 2},
            {"accelerator": "tpu"},
            "accelerator: must be one of 'auto', 'cuda', 'cpu', 'gpu' on this machine, got 'tpu'",
        ),
        (
            {"cuda": 2},
            {"devices": 3},
            "devices: must be at most the 2 of 'cuda' on this machine, got 3",
        ),
        # Each device has a share of the weights, and one process keeps what there is.
        (
            {"cuda": 2},
            {"strategy": "fsdp"},
            "strategy: must be one of 'auto', 'ddp', 'ddp_fork', 'dp' on 'cuda' here, got 'fsdp'",
        ),
        (
            {"tpu": 2},
            {"strategy": "xla_fsdp"},
            "strategy: must be one of 'auto', 'single_xla', 'xla' on 'tpu' here, got 'xla_fsdp'",
        ),
        (
            {"mps": 1},
            {"strategy": "ddp"},
            "strategy: must be one of 'auto' on 'mps' here, got 'ddp'",
        ),
    ],
)
def test_what_a_machine_has_decides_what_is_possible(machine, counts, asked, message):
    machine(**counts)
    assert explain(TrainTable(**asked), ValueError("no")).startswith(f"train.{message}")


def test_a_strategy_that_shares_weights_out_is_refused(machine):
    machine(cuda=2)
    settings = TrainTable(accelerator="cuda", devices=2, strategy="fsdp")
    with pytest.raises(RecipeError, match=r"^train\.strategy") as fault:
        open_fabric(settings)
    assert str(fault.value) == (
        "train.strategy: must be one of 'auto', 'ddp', 'ddp_fork', 'dp' on 'cuda' here, got 'fsdp'"
    )


def test_a_gpu_computes_the_same_again_or_torch_warns_of_it(monkeypatch):
    def settings():
        torch_says = torch.are_deterministic_algorithms_enabled()
        warns = torch.is_deterministic_algorithms_warn_only_enabled()
        cudnn, space = torch.backends.cudnn, os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        return torch_says, warns, cudnn.deterministic, cudnn.benchmark, space

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = settings()
    with repeatable(torch.device("cuda")):
        assert settings() == (True, True, True, False, ":4096:8")
    assert settings() == before
    with repeatable(torch.device("cpu")):
        assert settings() == before


def test_what_nobody_foresaw_is_told_in_fabrics_words(machine):
    machine()
    said = explain(TrainTable(nodes=2), RuntimeError("no cluster"))
    assert said == (
        "train: Lightning Fabric must be able to use accelerator 'auto', devices 1, nodes 2, "
        "strategy 'auto', precision '32-true', got RuntimeError: no cluster"
    )


def test_a_batch_that_devices_cannot_share_is_refused():
    with pytest.raises(RecipeError, match=r"^train\.batch") as fault:
        open_fabric(TrainTable(accelerator="cpu", devices=2, strategy="ddp", batch=7))
    assert str(fault.value) == (
        "train.batch: must be a multiple of the 2 devices that share it, got 7"
    )


def test_a_strategy_that_starts_the_program_again_is_refused_within_other_work():
    settings = TrainTable(accelerator="cpu", devices=2, strategy="ddp", batch=8)
    with pytest.raises(RecipeError, match=r"^train\.strategy") as fault:
        check_forks(open_fabric(settings), settings)
    assert str(fault.value) == (
        "train.strategy: must be one that forks where training is a part of other work, got 'ddp', "
        "which starts the program again for each device; use 'ddp_fork'"
    )


def test_fabric_is_silent_unless_everything_shall_be_told():
    logger, ours = logging.getLogger("lightning_fabric"), logging.getLogger("edgeprep")
    before = logger.level, ours.level
    with fabric_in_silence():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == before[0]
    ours.setLevel(logging.DEBUG)
    try:
        with fabric_in_silence():
            assert logger.level == before[0]
    finally:
        ours.setLevel(before[1])


def test_threads_are_woken_for_large_networks_only():
    small = torch.nn.Conv2d(3, 4, 3)
    with using_threads(2):
        # 2 · 3·3·3 · 4 operations for each of 30·30 pixels, and of 2500·2500.
        assert threads_for(small, torch.zeros(1, 3, 32, 32)) == 1
        assert threads_for(small, torch.zeros(1, 3, 2502, 2502)) == 2
