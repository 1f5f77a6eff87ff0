"""`edgeprep zoo`: what it prints, leaves and answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[2]
MOBILENET = ROOT / "model_zoo" / "digits-mobilenet"


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo whose one model has a recipe alone; gives its folder."""
    folder = tmp_path / "zoo" / "digits-half"
    folder.mkdir(parents=True)
    (folder.parent / "pyproject.toml").touch()
    text = (MOBILENET / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace("digits-mobilenet", "digits-half"))
    monkeypatch.setattr("edgeprep.zoo.models._CHECKOUT", folder.parent)
    return folder


def test_a_list_has_a_line_a_model(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "list")
    head, *lines = ended.stdout.splitlines()
    assert head.split() == ["name", "task", "kB", "metric", "value"]
    assert ["digits-mobilenet", "classify", "1268", "accuracy", "0.987"] in map(str.split, lines)


def test_a_list_for_machines(edgeprep: Run) -> None:
    document = json.loads(edgeprep("zoo", "list", "--format", "json").stdout)
    (found,) = (one for one in document["models"] if one["name"] == "digits-mobilenet")
    assert document["schema_version"] == 1
    assert found == {
        "name": "digits-mobilenet",
        "task": "classify",
        "size_bytes": 1268216,
        "metric": "accuracy",
        "value": 0.987,
        "directory": str(MOBILENET),
    }


def test_a_damaged_model_is_named_and_fails_the_list(edgeprep: Run, damaged: Path) -> None:
    ended = edgeprep("zoo", "list", "--format", "json")
    rule = f"{damaged / 'weights.safetensors'}: must be a file that can be read"
    error = f"{rule}, got 'No such file or directory'"
    assert (ended.code, ended.stderr) == (1, f"edgeprep: digits-half: {error}\n")
    assert json.loads(ended.stdout) == {
        "schema_version": 1,
        "models": [],
        "failed": [{"name": "digits-half", "error": error}],
    }


@pytest.mark.parametrize("verb", ["list", "verify"])
def test_without_a_zoo_nothing_passes(edgeprep: Run, damaged: Path, verb: str) -> None:
    (damaged.parent / "pyproject.toml").unlink()
    ended = edgeprep("zoo", verb, "-v")
    assert (ended.code, ended.stdout) == (1, "")
    message = "edgeprep: zoo: must have models, got none; pip install edgeprep-zoo"
    assert ended.stderr.splitlines()[-1] == message


def test_show_prints_the_card(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "show", "digits-mobilenet")
    assert (ended.code, ended.stdout) == (0, (MOBILENET / "card.md").read_text())
    document = json.loads(edgeprep("zoo", "show", "digits-mobilenet", "--format", "json").stdout)
    assert document["card"] == ended.stdout
    assert document["facts"]["task"] == "classify, 10 classes"
    assert document["name"] == "digits-mobilenet"


@pytest.mark.parametrize("verb", ["show", "get", "train", "verify"])
def test_a_name_that_is_nearly_right_is_wrong_usage(edgeprep: Run, verb: str) -> None:
    ended = edgeprep("zoo", verb, "digits-mobilnet")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == (
        "Error: zoo: must be the name of a model, got 'digits-mobilnet'; "
        "did you mean 'digits-mobilenet'?"
    )
    assert not list(Path.cwd().iterdir())


def test_a_verb_that_is_nearly_right_is_wrong_usage(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "verfiy")
    assert ended.code == 2
    message = "Error: command: must be one that there is, got 'verfiy'; did you mean 'verify'?"
    assert ended.stderr.splitlines()[-1] == message


def test_get_says_what_was_copied(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "get", "digits-resnet", "-o", "work")
    assert ended.code == 0
    assert ended.stdout.splitlines() == [
        "work/digits-mobilenet: whose files it uses",
        "work/digits-resnet",
    ]
    assert Path("work/digits-resnet/model.py").is_file()
    ended = edgeprep("zoo", "get", "digits-resnet", "-o", "work")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: work/digits-resnet: already exists; "
        "pass --overwrite (overwrite=True) to replace it\n"
    )
    ended = edgeprep("zoo", "get", "digits-resnet", "-o", "work", "--overwrite")
    assert ended.stdout.splitlines() == [
        "work/digits-mobilenet: whose files it uses; it was there and is left as it is",
        "work/digits-resnet",
    ]


def test_get_puts_the_copy_here_by_default(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "get", "digits-mobilenet", "--format", "json")
    assert json.loads(ended.stdout) == {
        "schema_version": 1,
        "directory": "digits-mobilenet",
        "beside": ["digits-resnet"],
        "kept": [],
    }


def test_verify_has_a_line_a_check(edgeprep: Run) -> None:
    ended = edgeprep("zoo", "verify", "digits-mobilenet", "--quick", "-q")
    assert (ended.code, ended.stderr) == (0, "")
    head, *lines = ended.stdout.splitlines()
    assert head.split() == ["model", "check", "verdict", "found"]
    assert [line.split()[:3] for line in lines] == [
        ["digits-mobilenet", check, "passed"] for check in ("files", "weights", "golden")
    ]


def test_verify_fails_where_a_copy_is_not_what_its_card_says(edgeprep: Run) -> None:
    edgeprep("zoo", "get", "digits-mobilenet")
    path = Path("digits-mobilenet/model.py")
    path.write_text(path.read_text().replace("nn.ReLU6()", "nn.ReLU()"))
    ended = edgeprep(
        "zoo", "verify", "./digits-mobilenet", "digits-resnet", "--quick", "--format", "json"
    )
    assert ended.code == 1
    document = json.loads(ended.stdout)
    assert document["passed"] is False
    assert [(one["name"], one["passed"]) for one in document["models"]] == [
        ("digits-mobilenet", False),
        ("digits-resnet", True),
    ]
    checks = {one["check"]: one["passed"] for one in document["models"][0]["checks"]}
    assert checks == {"files": True, "weights": True, "golden": False}
    assert "✗" not in ended.stderr
    assert "digits-mobilenet: golden: FAILED: golden.safetensors: relative error" in ended.stderr


def test_verify_without_names_looks_at_every_model(edgeprep: Run, damaged: Path) -> None:
    ended = edgeprep("zoo", "verify", "--format", "json", "-q")
    assert ended.code == 1
    assert [one["name"] for one in json.loads(ended.stdout)["models"]] == ["digits-half"]


def test_train_by_a_script_says_what_came_of_it(edgeprep: Run) -> None:
    edgeprep("zoo", "get", "digits-mobilenet")
    Path("digits-mobilenet/train.py").write_text(
        "import pathlib, shutil, sys\n"
        "shutil.copyfile(pathlib.Path(__file__).with_name('weights.safetensors'), sys.argv[2])\n"
        "print('epoch 1')\n"
    )
    recipe = Path("digits-mobilenet/recipe.toml")
    limited = '{ factory = "data:evaluation", limit = 20 }'
    recipe.write_text(recipe.read_text().replace('{ factory = "data:evaluation" }', limited))
    ended = edgeprep("zoo", "train", "./digits-mobilenet", "-q")
    assert ended.code == 0
    score, weights = ended.stdout.splitlines()
    end = " on data.evaluation; 0.987 in the card of the zoo's own weights"
    assert score.startswith("accuracy ")
    assert score.endswith(end)
    assert weights == "digits-mobilenet-training/weights.safetensors"
    assert ended.stderr == "epoch 1\n"
    ended = edgeprep("zoo", "train", "./digits-mobilenet", "-q", "--overwrite", "--format", "json")
    document = json.loads(ended.stdout)
    assert document["weights"] == weights
    assert (document["name"], document["metric"]) == ("digits-mobilenet", "accuracy")
    assert document["card"] == 0.987
