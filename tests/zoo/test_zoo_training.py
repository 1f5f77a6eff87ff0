"""Models trained anew, by their recipe or by a script of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeprep.errors import OutputExists, OutputRefused, TrainingError
from edgeprep.zoo import ZooModel
from edgeprep.zoo.train import ZooTraining, train_model

Plant = Callable[..., ZooModel]

# As train.py of the zoo are called; writes the weights that are there.
SCRIPT = """
import argparse, pathlib, shutil
parser = argparse.ArgumentParser()
parser.add_argument("--output", type=pathlib.Path)
options = parser.parse_args()
shutil.copyfile(pathlib.Path(__file__).with_name("weights.safetensors"), options.output)
"""


@pytest.fixture
def model(plant: Plant) -> ZooModel:
    return plant()


@pytest.fixture
def scripted(model: ZooModel) -> Callable[[str], ZooModel]:
    def write(script: str) -> ZooModel:
        (model.directory / "train.py").write_text(script)
        return model

    return write


def test_a_recipe_says_how(model: ZooModel, tmp_path: Path) -> None:
    trained = train_model(model, tmp_path / "out")
    assert trained is not None
    assert (trained.name, trained.metric, trained.card) == ("brightest", "accuracy", 0.75)
    assert trained.weights == tmp_path / "out" / "weights.safetensors"
    assert trained.weights.is_file()
    assert 0 <= trained.value <= 1
    assert len((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_script_of_the_model_comes_first_and_what_it_wrote_is_scored(
    scripted: Callable[[str], ZooModel], tmp_path: Path
) -> None:
    model = scripted(SCRIPT)
    weights = tmp_path / "new" / "out" / "weights.safetensors"
    trained = train_model(model, tmp_path / "new" / "out")
    assert trained == ZooTraining(
        name="brightest", weights=weights, metric="accuracy", value=0.75, card=0.75
    )
    assert weights.read_bytes() == (model.directory / "weights.safetensors").read_bytes()
    assert [path.name for path in weights.parent.iterdir()] == ["weights.safetensors"]


def test_a_model_without_a_card_is_trained_for_the_first_time(
    scripted: Callable[[str], ZooModel], tmp_path: Path
) -> None:
    model = scripted(SCRIPT)
    (model.directory / "card.md").unlink()
    trained = train_model(model, tmp_path / "out")
    assert trained is not None
    assert (trained.value, trained.card) == (0.75, None)


def test_weights_that_are_there_are_not_replaced_unasked(
    scripted: Callable[[str], ZooModel], tmp_path: Path
) -> None:
    model = scripted(SCRIPT)
    (tmp_path / "weights.safetensors").write_bytes(b"mine")
    with pytest.raises(OutputExists, match="holds weights") as error:
        train_model(model, tmp_path)
    remedy = "pass --overwrite (overwrite=True) to train anew, or name another directory"
    assert str(error.value) == f"{tmp_path}: holds weights; {remedy}"
    assert (tmp_path / "weights.safetensors").read_bytes() == b"mine"
    train_model(model, tmp_path, overwrite=True)
    assert (tmp_path / "weights.safetensors").read_bytes() != b"mine"


def test_a_file_is_no_directory_to_train_into(
    scripted: Callable[[str], ZooModel], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OutputRefused, match="directory") as error:
        train_model(scripted(SCRIPT), path)
    assert str(error.value) == f"{path}: must be a directory, got a file"


@pytest.mark.parametrize(
    ("script", "got"),
    [(f"{SCRIPT}\nraise SystemExit(3)\n", "exit code 3"), ("", "none")],
    ids=["fails", "writes nothing"],
)
def test_a_script_that_fails_leaves_what_was_there(
    scripted: Callable[[str], ZooModel], tmp_path: Path, script: str, got: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights.safetensors").write_bytes(b"mine")
    with pytest.raises(TrainingError, match="must end with weights") as error:
        train_model(scripted(script), out, overwrite=True)
    assert str(error.value) == f"brightest: train.py must end with weights, got {got}"
    assert [path.read_bytes() for path in out.iterdir()] == [b"mine"]
