"""What a person sees whose own model or data raise: one line, and with -v all of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Project = Callable[..., Path]

RAISE = 'raise ValueError("first line\\nsecond line")'
# Files, what they say, and on which line.
BUILD, FORWARD, PICTURES = (
    ("model.py", "return Net()", 19),
    ("model.py", "return self.head(x.mean((2, 3)))", 14),
    ("data.py", "rng = np.random.default_rng(seed)", 7),
)


@pytest.fixture
def fails(edgeprep: Run, project: Project) -> Callable[..., Any]:
    """Converts a project in which a line of code is another one."""

    def convert(place: tuple[str, str, int], line: str, *words: str) -> Any:
        name, old, number = place
        recipe = project()
        path = recipe.parent / name
        assert old in path.read_text().splitlines()[number - 1]
        path.write_text(path.read_text().replace(old, line))
        return edgeprep("convert", recipe, "-o", "out.edgeprep", *words)

    return convert


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        (
            BUILD,
            2,
            (
                "model.factory: 'model:build' must return a torch.nn.Module, "
                "got ValueError: first line (model.py:19)"
            ),
        ),
        (
            FORWARD,
            2,
            (
                "model.factory: the network must take float32 (1, 3, 8, 8), which is what the "
                "preprocessing gives, got ValueError: first line (model.py:14)"
            ),
        ),
        (
            PICTURES,
            1,
            (
                "data.calibration.factory: 'data:others' must give its samples without an "
                "error, got ValueError: first line (data.py:7)"
            ),
        ),
    ],
    ids=["factory", "forward", "data"],
)
def test_an_error_of_several_lines_is_told_in_one(
    fails: Run, place: tuple[str, str, int], code: int, message: str
) -> None:
    ended = fails(place, RAISE, "-q")
    assert (ended.code, ended.stdout) == (code, "")
    # And no traceback.
    assert ended.stderr == f"edgeprep: {message}\n"


def test_a_module_that_does_not_load_is_named_with_its_line(fails: Run) -> None:
    ended = fails(BUILD, "pass\n\n\n1 / 0", "-q")
    assert (ended.code, ended.stderr) == (
        2,
        (
            "edgeprep: model.factory: module 'model' must load without an error, "
            "got ZeroDivisionError: division by zero (model.py:22)\n"
        ),
    )


@pytest.mark.parametrize("place", [BUILD, FORWARD, PICTURES], ids=["factory", "forward", "data"])
def test_verbose_shows_the_traceback_of_the_users_code(
    fails: Run, place: tuple[str, str, int]
) -> None:
    name, _, number = place
    ended = fails(place, RAISE, "-v")
    assert re.search(rf'File ".*/{name}", line {number}, in ', ended.stderr)
    assert "ValueError: first line\nsecond line\n" in ended.stderr


@pytest.mark.parametrize("place", [BUILD, FORWARD, PICTURES], ids=["factory", "forward", "data"])
def test_code_that_exits_has_failed(fails: Run, place: tuple[str, str, int]) -> None:
    ended = fails(place, "raise SystemExit(0)", "-q")
    assert ended.code in (1, 2)
    (line,) = ended.stderr.splitlines()
    assert line.endswith(f"got SystemExit: 0 ({place[0]}:{place[2]})")
    assert not Path("out.edgeprep").exists()


def test_what_torch_cannot_export_is_told_in_one_line(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_PLUGINS", "onnx")
    recipe = project({'format    = "fake"': 'format    = "onnx"'})
    model = recipe.parent / "model.py"
    branch = "if x.sum() > 3: return self.head(x.mean((2, 3))) * 2\n        return self.head"
    model.write_text(model.read_text().replace("return self.head", branch))
    ended = edgeprep("convert", recipe, "-q")
    assert (ended.code, ended.stdout) == (1, "")
    assert re.fullmatch(
        r"edgeprep: onnx: torch\.onnx\.export must take the network, got "
        r"GuardOnDataDependentSymNode: Could not guard on data-dependent expression .+ "
        r"\(model\.py:14\)",
        ended.stderr.splitlines()[-1],
    )
