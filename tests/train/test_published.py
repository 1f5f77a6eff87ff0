"""Checkpoints of transformers, whose weights have other names than the network's."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers

from edgeprep.errors import CheckpointError
from edgeprep.recipe import ModelTable
from edgeprep.train import load_network

TINY = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 3,
}


@pytest.fixture
def network(tmp_path: Path) -> torch.nn.Module:
    """A ViT that is saved in `tmp_path`, under the names of the first release."""
    made = transformers.ViTForImageClassification(transformers.ViTConfig(**TINY)).eval()
    made.save_pretrained(tmp_path)
    return made


def table(**fields: object) -> ModelTable:
    return ModelTable(
        factory="transformers:ViTForImageClassification",
        arguments={"config": "config.json"},
        weights="model.safetensors",
        **fields,  # type: ignore[arg-type]
    )


def test_a_checkpoint_under_other_names_is_loaded_as_its_class_loads_it(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    saved = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert saved.keys() != network.state_dict().keys()
    loaded = load_network(table(outputs=("logits",)), tmp_path)
    picture = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    outputs = loaded(picture)
    assert [*outputs] == ["logits"]
    assert torch.equal(outputs["logits"], network(picture).logits)


def test_a_checkpoint_that_lacks_a_weight_is_refused(
    network: torch.nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved = safetensors.torch.load_file(tmp_path / "model.safetensors")
    del saved["classifier.bias"]
    safetensors.torch.save_file(saved, tmp_path / "model.safetensors")
    capfd.readouterr()
    message = r"model\.weights: 'model\.safetensors' must fit the network, got keys missing: "
    with pytest.raises(CheckpointError, match=f"^{message}classifier.bias, .*; unexpected: "):
        load_network(table(), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_an_output_that_the_network_has_not_is_named(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    loaded = load_network(table(outputs=("logits", "pred_boxes")), tmp_path)
    message = (
        r"model\.outputs\[1\]: the network must return an output 'pred_boxes', "
        r"got one with 'logits'"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        loaded(torch.zeros(1, 3, 16, 16))
