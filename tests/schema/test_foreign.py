"""What code that is not ours raised, told in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeprep
from edgeprep.schema.foreign import name_fault


def raised_by(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 -- what is looked at
        return error
    raise AssertionError("nothing was raised")


def user_code(path: Path, text: str) -> BaseException:
    path.write_text(text)
    return raised_by(lambda: exec(compile(text, str(path), "exec"), {}))  # noqa: S102


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.py"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nraise ValueError('bad width')", "ValueError: bad width (model.py:2)"),
        ("raise KeyError('hub')", "KeyError: 'hub' (model.py:1)"),
        ("raise ValueError('first\\nsecond\\nthird')", "ValueError: first (model.py:1)"),
        ("raise ValueError('\\n \\n  third')", "ValueError: third (model.py:1)"),
        ("raise ValueError('a\\rb\\x0bc\\u2028d')", "ValueError: a (model.py:1)"),
        ("raise ValueError", "ValueError (model.py:1)"),
        ("raise SystemExit(3)", "SystemExit: 3 (model.py:1)"),
        (f"raise ValueError('{'x' * 201}')", f"ValueError: {'x' * 197}... (model.py:1)"),
        (f"raise ValueError('{'x' * 200}')", f"ValueError: {'x' * 200} (model.py:1)"),
        (
            "class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd",
            "Odd (model.py:3)",
        ),
    ],
    ids=[
        "one line",
        "a key",
        "several lines",
        "first lines empty",
        "other ends of lines",
        "no words",
        "an exit",
        "too long",
        "just not too long",
        "no words to be had",
    ],
)
def test_kind_words_and_place_in_one_line(model: Path, text: str, told: str) -> None:
    assert name_fault(user_code(model, text)) == told


def test_the_place_is_the_users_line_and_not_the_librarys_below_it(model: Path) -> None:
    error = user_code(model, "import json\n\njson.loads('{')\n")
    assert name_fault(error).endswith(" (model.py:3)")


def test_the_innermost_of_the_users_files_is_named(model: Path) -> None:
    neighbour = model.with_name("blocks.py")
    neighbour.write_text("def build():\n    raise ValueError('bad')\n")
    space: dict[str, Callable[[], object]] = {}
    exec(compile(neighbour.read_text(), str(neighbour), "exec"), space)  # noqa: S102
    assert name_fault(raised_by(space["build"])) == "ValueError: bad (blocks.py:2)"


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_installed_libraries_are_no_place_of_the_users(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    error = user_code(tmp_path / folder / "library.py", "raise ValueError('bad')")
    # What is left is this file.
    assert name_fault(error).startswith("ValueError: bad (test_foreign.py:")


def test_a_file_beside_the_package_with_a_name_that_begins_alike_is_the_users() -> None:
    path = f"{Path(edgeprep.__file__).parent}-models/model.py"
    error = raised_by(lambda: exec(compile("raise ValueError('bad')", path, "exec")))  # noqa: S102
    assert name_fault(error) == "ValueError: bad (model.py:1)"


def test_where_all_of_it_is_a_library_no_place_is_named() -> None:
    error = raised_by(lambda: json.loads("{"))
    error.__traceback__ = error.__traceback__.tb_next.tb_next
    assert name_fault(error).startswith("JSONDecodeError: Expecting property name")
    assert ".py:" not in name_fault(error)
