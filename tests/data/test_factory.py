import re
import sys
from pathlib import Path

import pytest

from edgeprep.data import build_reader, load_factory, load_module
from edgeprep.errors import RecipeError

WHERE = "model.factory"


def write(directory: Path, **modules: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, content in modules.items():
        (directory / f"{name}.py").write_text(content)
    return directory


def error(reference: str, directory: Path) -> RecipeError:
    with pytest.raises(RecipeError, match=re.escape(WHERE)) as caught:
        load_factory(reference, directory, WHERE)
    return caught.value


def test_a_file_beside_the_recipe_gives_its_function(tmp_path: Path) -> None:
    write(tmp_path, model="def build(classes):\n    return classes * 2\n")
    assert load_factory("model:build", tmp_path, WHERE)(classes=5) == 10


def test_an_installed_module_gives_its_function(tmp_path: Path) -> None:
    assert load_factory("os.path:join", tmp_path, WHERE)("a", "b") == str(Path("a/b"))


def test_a_file_beside_the_recipe_comes_before_an_installed_module(tmp_path: Path) -> None:
    write(tmp_path, json="def dumps():\n    return 'ours'\n")
    assert load_factory("json:dumps", tmp_path, WHERE)() == "ours"
    import json

    assert json.dumps([1]) == "[1]"


def test_the_search_path_is_afterwards_what_it_was(tmp_path: Path) -> None:
    write(tmp_path, model="def build(): ...\n", broken="raise OSError\n")
    before = list(sys.path)
    load_factory("model:build", tmp_path, WHERE)
    error("broken:build", tmp_path)
    assert sys.path == before


def test_two_recipes_can_both_have_a_model_file(tmp_path: Path) -> None:
    first = write(tmp_path / "first", model="def build():\n    return 1\n")
    second = write(tmp_path / "second", model="def build():\n    return 2\n")
    factories = [load_factory("model:build", directory, WHERE) for directory in (first, second)]
    assert [factory() for factory in factories] == [1, 2]
    assert "model" not in sys.modules


def test_two_recipes_can_both_have_a_neighbour_of_the_same_name(tmp_path: Path) -> None:
    model = "from edgeprep_test_blocks import number\ndef build():\n    return number\n"
    first = write(tmp_path / "first", model=model, edgeprep_test_blocks="number = 1\n")
    second = write(tmp_path / "second", model=model, edgeprep_test_blocks="number = 2\n")
    factories = [load_factory("model:build", directory, WHERE) for directory in (first, second)]
    assert [factory() for factory in factories] == [1, 2]


def test_a_file_is_loaded_once_for_all_its_functions(tmp_path: Path) -> None:
    write(tmp_path, data="loaded = []\ndef a():\n    return loaded\ndef b():\n    return loaded\n")
    first, second = (load_factory(f"data:{name}", tmp_path, WHERE) for name in "ab")
    assert first() is second()


def test_an_edited_file_is_loaded_anew(tmp_path: Path) -> None:
    write(tmp_path, model="def build():\n    return 1\n")
    load_factory("model:build", tmp_path, WHERE)
    write(tmp_path, model="def build():\n    return 25\n")
    assert load_factory("model:build", tmp_path, WHERE)() == 25


def test_a_class_of_the_file_can_be_found_by_its_module(tmp_path: Path) -> None:
    write(tmp_path, model="class Net: ...\n")
    network = load_factory("model:Net", tmp_path, WHERE)
    assert sys.modules[network.__module__].Net is network


@pytest.mark.parametrize(
    "reference", ["model", "model:", ":build", "model.py:build", "../model:build", "model:a.b", ""]
)
def test_a_reference_of_another_form_is_refused(tmp_path: Path, reference: str) -> None:
    if reference == "model.py:build":
        # `model.py` is a legal module name; it is only not there.
        assert "no module 'model.py'" in str(error(reference, tmp_path))
        return
    assert (
        str(error(reference, tmp_path))
        == f"model.factory: must have the form 'module:function', got {reference!r}"
    )


def test_a_module_that_is_nowhere_says_where_it_was_looked_for(tmp_path: Path) -> None:
    assert str(error("absent_module:build", tmp_path)) == (
        "model.factory: no module 'absent_module' beside the recipe or installed;"
        f" looked for '{tmp_path.resolve()}/absent_module.py'"
    )


def test_a_function_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, model="def build(): ...\n")
    assert (
        str(error("model:biuld", tmp_path))
        == "model.factory: module 'model' has no function 'biuld'; did you mean 'build'?"
    )


def test_a_name_that_is_no_function_is_refused(tmp_path: Path) -> None:
    write(tmp_path, model="build = 3\n")
    assert (
        str(error("model:build", tmp_path))
        == "model.factory: 'model:build' must be a function, got 3"
    )


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (model.py:1)"),
        ("def build(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3 (model.py:1)"),
        ("import absent_module", "ModuleNotFoundError"),
    ],
    ids=["raises", "syntax", "exits", "imports what is not there"],
)
def test_a_file_that_does_not_load_is_named_with_its_error(
    tmp_path: Path, content: str, shown: str
) -> None:
    write(tmp_path, model=content)
    fault = error("model:build", tmp_path)
    start = f"model.factory: module 'model' must load without an error, got {shown}"
    assert str(fault).startswith(start)
    assert fault.__cause__ is not None


def test_a_file_that_failed_is_tried_again(tmp_path: Path) -> None:
    write(tmp_path, model="import edgeprep_test_later\ndef build():\n    return 7\n")
    error("model:build", tmp_path)
    write(tmp_path, edgeprep_test_later="")
    assert load_factory("model:build", tmp_path, WHERE)() == 7


def test_a_factory_is_told_the_epoch_where_samples_change_with_it(tmp_path):
    (tmp_path / "data.py").write_text(
        "import numpy as np\n"
        "def pictures(first, epoch):\n"
        "    yield np.full((1, 1, 3), first + epoch, np.uint8)\n"
    )
    table = {"factory": "data:pictures", "arguments": {"first": 7}, "per_epoch": True}
    reader = build_reader(table, "data.training")
    samples = reader.at_epoch(3).open(directory=tmp_path, where="data.training")
    assert [int(picture[0, 0, 0]) for picture, _ in samples] == [10]


def test_a_factory_that_changes_with_the_epoch_is_refused_where_there_is_none(tmp_path):
    (tmp_path / "data.py").write_text("def pictures(epoch):\n    return []\n")
    reader = build_reader({"factory": "data:pictures", "per_epoch": True}, "data.calibration")
    with pytest.raises(RecipeError, match=r"^data\.calibration") as fault:
        reader.open(directory=tmp_path, where="data.calibration")
    assert str(fault.value) == (
        "data.calibration.per_epoch: must be false here, got true; only data.training changes from "
        "epoch to epoch"
    )


def test_modules_of_one_name_are_those_of_their_directories(tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("one", "two")]
    for home in homes:
        home.mkdir()
        (home / "data.py").write_text(f"NAME = {home.name!r}\n")
    names = [load_module("data", home, "data").NAME for home in homes]
    assert names == ["one", "two"]
    assert load_module("data", homes[0], "data") is load_module("data", homes[0], "data")


def test_a_module_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.py"
    rule = f"data: no module 'nowhere' beside the recipe or installed; looked for {str(path)!r}"
    with pytest.raises(RecipeError, match=f"^{re.escape(rule)}$"):
        load_module("nowhere", tmp_path, "data")
