"""Checkpoints: what they hold, and what is refused."""

import json

import pytest
import safetensors.torch
import torch

from edgeprep.errors import CheckpointError
from edgeprep.train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint, write_weights

TENSORS = {
    "learner.weight": torch.tensor([[1.5, -2.0]]),
    "learner.half": torch.tensor([0.1, 7.0], dtype=torch.bfloat16),
    "learner.count": torch.tensor(3),
    "learner.mask": torch.tensor([True, False]),
    "learner.none": torch.zeros(0, 2),
    "learner.strided": torch.arange(6.0).reshape(2, 3).T,
}
STATE = {"epoch": 2, "loss": 0.1 + 0.2, "rows": [{"epoch": 1}], "threads": 1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


def write(path):
    checkpoint = Checkpoint(tensors=TENSORS, state=STATE, made_from={"data": "ab"})
    write_checkpoint(path, checkpoint)


def test_what_was_written_is_read_bit_for_bit(path):
    write(path)
    found = read_checkpoint(path)
    assert found.tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)
    assert (found.state, found.made_from) == (STATE, {"data": "ab"})


def test_a_checkpoint_is_one_file_that_any_reader_of_safetensors_takes(path):
    write(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert safetensors.torch.load_file(path)["learner.count"].item() == 3


def test_where_there_is_none_there_is_none(path):
    assert read_checkpoint(path) is None


def test_tied_weights_are_written_as_the_network_names_them(path):
    tied = torch.ones(2, 2)
    write_weights(path, {"one": tied, "other": tied})
    found = safetensors.torch.load_file(path)
    assert torch.equal(found["one"], found["other"])


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_file_that_ends_too_early_is_refused(path, length):
    write(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="must be a checkpoint of a training, got") as fault:
        read_checkpoint(path)
    assert str(fault.value).startswith(f"{path}: must be a checkpoint of a training, got '")


def test_a_flipped_bit_is_refused(path):
    write(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="bytes that have changed") as fault:
        read_checkpoint(path)
    assert str(fault.value) == (
        f"{path}: must be a checkpoint of a training, got bytes that have changed since"
    )


def test_other_weights_are_no_checkpoint(path):
    write_weights(path, {"weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="got format None") as fault:
        read_checkpoint(path)
    assert str(fault.value) == f"{path}: must be a checkpoint of a training, got format None"


def test_the_rest_is_json_in_the_metadata(path):
    write(path)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["state"]) == STATE
