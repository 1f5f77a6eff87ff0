"""Fabric by its own words, and what of them is refused."""

import logging

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.train.devices import check_forks, fabric_in_silence, open_fabric
from edgeprep.train.threads import threads_for, using_threads


def test_fabric_is_asked_for_what_the_recipe_says():
    settings = TrainTable(
        accelerator="cpu", devices=2, strategy="ddp_fork", precision="bf16-mixed", batch=8
    )
    fabric = open_fabric(settings)
    assert (fabric.world_size, fabric.strategy.precision.precision) == (2, "bf16-mixed")


def test_a_word_that_fabric_does_not_know_is_told_with_what_it_said():
    with pytest.raises(RecipeError, match=r"^train: must name") as fault:
        open_fabric(TrainTable(accelerator="abacus"))
    assert str(fault.value).startswith(
        "train: must name what Lightning Fabric has on this machine, got ValueError: You selected "
        "an invalid accelerator name: `accelerator='abacus'`."
    )


def test_a_precision_that_fabric_would_exchange_for_another_is_refused():
    with pytest.raises(RecipeError, match=r"^train: must name") as fault:
        open_fabric(TrainTable(accelerator="cpu", precision="16-mixed"))
    assert "AMP with fp16 is not supported on CPU" in str(fault.value)


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
