"""Which models there are, what their cards say, and which other folders they use."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeprep.errors import RecipeError, StorageError, UnknownName
from edgeprep.zoo import Card, ZooModel, find_model, zoo_models
from edgeprep.zoo.neighbours import neighbours_of

Plant = Callable[..., ZooModel]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _forget_package():
    yield
    sys.modules.pop("small_zoo", None)


def test_a_checkout_has_its_zoo_beside_the_package() -> None:
    assert {"digits-mobilenet", "digits-resnet"} <= {model.name for model in zoo_models()}
    assert find_model("digits-resnet").directory == ROOT / "model_zoo" / "digits-resnet"


def test_a_package_offers_its_folders(installed: Path, plant: Plant) -> None:
    plant("second"), plant("first")
    assert [model.name for model in zoo_models()] == ["first", "second"]
    assert find_model("first").card.facts["task"] == "classify, 3 classes"


def test_folders_without_a_recipe_are_none_of_models(installed: Path, home: Path) -> None:
    (home / "drafts").mkdir()
    assert zoo_models() == ()


def test_the_checkout_comes_before_packages(
    installed: Path, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant("ours")
    checkout = tmp_path / "checkout"
    (checkout / "ours").mkdir(parents=True)
    (checkout / "ours" / "recipe.toml").touch()
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr("edgeprep.zoo.models._CHECKOUT", checkout)
    assert find_model("ours").directory == checkout / "ours"


def test_a_folder_called_model_zoo_among_installed_packages_is_no_checkout(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other" / "ours").mkdir(parents=True)
    (tmp_path / "other" / "ours" / "recipe.toml").touch()
    monkeypatch.setattr("edgeprep.zoo.models._CHECKOUT", tmp_path / "other")
    assert zoo_models() == ()


def test_no_package_is_imported_to_find_its_models(installed: Path, plant: Plant) -> None:
    plant("first")
    package = Path(installed).parent / "small_zoo" / "__init__.py"
    package.write_text("raise SystemExit('it ran')\n")
    assert [model.name for model in zoo_models()] == ["first"]
    assert "small_zoo" not in sys.modules


def test_a_package_that_is_not_there_is_named_and_hides_no_other(
    installed: Path, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (installed / "entry_points.txt").write_text(
        "[edgeprep.zoo]\nabsent = no_such_zoo\nother = other_zoo\n"
    )
    other = tmp_path / "site" / "other_zoo"
    (other / "fine").mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "fine" / "recipe.toml").touch()
    assert [model.name for model in zoo_models()] == ["fine"]
    assert [record.getMessage() for record in caplog.records] == [
        (
            "zoo 'absent' of small-zoo left out: 'no_such_zoo' must be a package that is installed"
            " in a folder, got none"
        )
    ]


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("brihgtest", "'brihgtest'; did you mean 'brightest'?"),
        ("mobile", "'mobile'; known here: 'brightest', 'second'"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_near(
    installed: Path, plant: Plant, name: str, end: str
) -> None:
    plant(), plant("second")
    with pytest.raises(UnknownName, match="name of a model") as error:
        find_model(name)
    assert str(error.value) == f"zoo: must be the name of a model, got {end}"


def test_without_a_zoo_the_message_says_what_to_install(installed: Path) -> None:
    with pytest.raises(UnknownName, match="pip install") as error:
        find_model("digits-vit")
    rule = "zoo: must be the name of a model, got 'digits-vit'"
    assert str(error.value) == f"{rule}; pip install edgeprep-zoo"


def test_a_copy_is_found_by_its_path(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    model = plant()
    monkeypatch.chdir(model.directory.parent)
    assert find_model("./brightest").name == "brightest"
    monkeypatch.chdir(model.directory)
    assert find_model(".").name == "brightest"
    assert find_model(model.directory).recipe.name == "brightest"


def test_a_path_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="folder of a model") as error:
        find_model(tmp_path)
    message = f"{tmp_path}: must be the folder of a model, got none with 'recipe.toml'"
    assert str(error.value) == message


def test_a_model_is_told_with_what_its_card_says(plant: Plant) -> None:
    model = plant()
    assert model.to_json() == {
        "name": "brightest",
        "task": "classify",
        "size_bytes": (model.directory / "weights.safetensors").stat().st_size,
        "metric": "accuracy",
        "value": 0.75,
        "directory": str(model.directory),
    }


@pytest.mark.parametrize(
    ("file", "error", "rule"),
    [
        ("card.md", StorageError, "must be a file that can be read"),
        ("weights.safetensors", StorageError, "must be a file that can be read"),
    ],
)
def test_what_is_missing_is_named(plant: Plant, file: str, error: type, rule: str) -> None:
    model = plant()
    path = model.directory / file
    path.unlink()
    with pytest.raises(error, match="No such file") as raised:
        model.to_json()
    assert str(raised.value) == f"{path}: {rule}, got 'No such file or directory'"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'weights = "weights.safetensors"',
            "model.weights: required key is missing; a model of a zoo has some",
        ),
        (
            '[budget]\nmetric   = "accuracy"\nmax_drop = 0.01',
            "budget: required table is missing; it names what a model of a zoo is scored by",
        ),
    ],
)
def test_a_recipe_has_weights_and_a_metric(plant: Plant, line: str, message: str) -> None:
    model = plant()
    path = model.directory / "recipe.toml"
    text = path.read_text()
    assert line in text
    path.write_text(text.replace(line, ""))
    with pytest.raises(RecipeError, match="required") as error:
        model.to_json()
    assert str(error.value) == message


def test_facts_are_the_rows_of_two_columns() -> None:
    card = Card("# x\n\n| | |\n|---|---|\n| one | `a b` |\n| score | 12.5 |\n| a | b | c |\n")
    assert card.facts == {"one": "a b", "score": "12.5"}
    assert (card.number("score"), card.number("one"), card.number("two")) == (12.5, None, None)


def test_a_card_that_is_no_text_is_refused(plant: Plant) -> None:
    path = plant().directory / "card.md"
    path.write_bytes(b"# \xff")
    with pytest.raises(StorageError, match="UTF-8") as error:
        Card.read(path.parent)
    assert str(error.value) == f"{path}: must be UTF-8, got b'\\xff'"


def test_neighbours_are_named_by_strings_and_paths_and_by_each_other(plant: Plant) -> None:
    model, _, _, _ = plant(), plant("data-of"), plant("teacher"), plant("mentioned")
    (model.directory / "data.py").write_text(
        '"""As mentioned has them."""\nfrom pathlib import Path\nHOME = Path("..") / "data-of"\n'
    )
    other = model.directory.parent / "data-of" / "pipeline.toml"
    other.write_text('about = "mentioned"\n[[compress]]\nteacher = "../teacher/recipe.toml"\n')
    # Round and round.
    (other.parents[1] / "teacher" / "data.py").write_text('A = "brightest"\nB = "data-of"\n')
    assert [one.name for one in neighbours_of(model)] == ["data-of", "teacher"]


@pytest.mark.parametrize(
    ("file", "content", "rule"),
    [
        ("data.py", "def (", "must be Python, got 'invalid syntax"),
        ("other.toml", "a =", "must be TOML, got 'Invalid value"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_named(
    plant: Plant, file: str, content: str, rule: str
) -> None:
    model = plant()
    path = model.directory / file
    path.write_text(content)
    with pytest.raises(RecipeError, match="must be") as error:
        neighbours_of(model)
    assert str(error.value).startswith(f"{path}: {rule}")
