"""The program of the README that follows several sources on one model."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("watch.py")
RED, BLUE = (200, 0, 0), (0, 0, 200)


def test_the_program_of_the_readme_follows_two_films_at_once(
    bundle: Path,
    film: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    films = [film("red.mp4", *[RED] * 10), film("blue.mp4", *[BLUE] * 12)]
    monkeypatch.setattr(sys, "argv", ["watch.py", str(bundle), *map(str, films)])
    runpy.run_path(str(PROGRAM), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    for path, word, count in zip(films, ("red", "blue"), (10, 12), strict=True):
        own = [line for line in lines if line.startswith(f"{path}: ")]
        assert own[-1] == f"{path}: {count} answered, 0 dropped"
        assert own[0].startswith(f"{path}: 0.00 s: {word} ")
        assert all(f" s: {word} " in line for line in own[:-1])
        assert len(own) == count + 1
