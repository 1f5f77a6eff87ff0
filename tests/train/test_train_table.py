"""`[train]`, `[model.head]` and their faults."""

import pytest

from edgeprep.errors import RecipeError
from edgeprep.recipe import HeadTable, ModelTable, TrainTable
from edgeprep.schema import build


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"nesterov": True},
            (
                "train.nesterov: needs optimizer 'sgd' and a momentum above 0, "
                "got optimizer 'adamw' with momentum 0.9"
            ),
        ),
        (
            {"optimizer": "sgd", "nesterov": True, "momentum": 0},
            (
                "train.nesterov: needs optimizer 'sgd' and a momentum above 0, got optimizer 'sgd' "
                "with momentum 0.0"
            ),
        ),
        (
            {"epochs": 3, "warmup_epochs": 3},
            "train.warmup_epochs: must be below the 3 epochs, got 3.0",
        ),
        ({"devices": 0}, "train.devices: must be at least 1, or -1 for all, got 0"),
        ({"optimiser": "sgd"}, "train.optimiser: unknown key; did you mean 'optimizer'?"),
        (
            {"optimizer": "adamv"},
            (
                "train.optimizer: must be one of 'adam', 'adamw', 'sgd', got 'adamv'; "
                "did you mean 'adam'?"
            ),
        ),
        ({"rates": {"head": 0}}, "train.rates.head: must be above 0, got 0"),
        ({"momentum": 1.0}, "train.momentum: must be at least 0 and below 1, got 1.0"),
        ({"ema": 1.0}, "train.ema: must be above 0 and below 1, got 1.0"),
    ],
)
def test_a_fault_is_told_with_its_place(table, message):
    with pytest.raises(RecipeError, match=r"^train\.") as fault:
        build(TrainTable, table, "train")
    assert str(fault.value) == message


def test_a_head_is_a_table_of_the_model():
    table = {"factory": "model:build", "head": {"module": "fc", "classes": 3}}
    expected = ModelTable(factory="model:build", head=HeadTable(module="fc", classes=3))
    assert build(ModelTable, table, "model") == expected
