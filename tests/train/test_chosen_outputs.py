"""`model.outputs`: those of a network's outputs that are taken, by their names."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import ModelTable
from edgeprep.schema import build
from edgeprep.tensors import TensorSpec
from edgeprep.train.outputs import Chosen, trace_outputs

ONE, TWO = torch.ones(1), torch.zeros(2)


@dataclass
class Answers:
    boxes: torch.Tensor
    logits: torch.Tensor
    attentions: torch.Tensor | None = None


@pytest.mark.parametrize(
    "outputs",
    [
        {"boxes": ONE, "logits": TWO, "history": [ONE]},
        Answers(boxes=ONE, logits=TWO),
        SimpleNamespace(boxes=ONE, logits=TWO),
    ],
    ids=["mapping", "dataclass", "namespace"],
)
def test_outputs_are_taken_by_name_in_the_order_of_the_recipe(outputs: object) -> None:
    chosen = Chosen(("logits", "boxes"))(torch.nn.Identity(), (), outputs)
    assert isinstance(chosen, dict)
    assert [*chosen.items()] == [("logits", TWO), ("boxes", ONE)]


@pytest.mark.parametrize(
    ("outputs", "got"),
    [
        (Answers(boxes=ONE, logits=TWO), "one with 'boxes', 'logits'"),
        (ONE, "Tensor"),
        ((ONE, TWO), "tuple"),
    ],
    ids=["of another name", "tensor", "tuple"],
)
def test_an_output_that_is_not_there_is_refused(outputs: object, got: str) -> None:
    rule = r"model\.outputs\[0\]: the network must return an output 'attentions', got"
    with pytest.raises(RecipeError, match=f"^{rule} {got}$"):
        Chosen(("attentions",))(torch.nn.Identity(), (), outputs)


def test_the_fault_of_a_choice_is_said_as_it_is_when_a_network_is_traced() -> None:
    network = torch.nn.Linear(2, 1)
    network.register_forward_hook(Chosen(("logits",)))
    rule = r"model\.outputs\[0\]: the network must return an output 'logits', got Tensor"
    with pytest.raises(RecipeError, match=f"^{rule}$"):
        trace_outputs(network, TensorSpec(name="preprocessed", shape=(1, 2), dtype="float32"))


def test_a_recipe_names_no_output_twice() -> None:
    rule = r"model\.outputs\[1\]: must be unique, got 'logits' again"
    with pytest.raises(RecipeError, match=f"^{rule}$"):
        build(ModelTable, {"factory": "a:b", "outputs": ["logits", "logits"]}, "model")
