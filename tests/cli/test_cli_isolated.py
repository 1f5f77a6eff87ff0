"""Commands with engines in workers: a crash is a line, an answer is the same."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPREP_ISOLATE")


def test_doctor_shows_a_driver_that_crashes_as_a_line_and_lives(
    edgeprep: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_CRASH", "devices")
    ended = edgeprep("doctor", "--format", "json")
    (backend,) = json.loads(ended.stdout)["backends"]
    assert (ended.code, backend["devices"]) == (1, [])
    assert backend["reason"] == (
        "backend 'fakes': must answer devices() in its worker, got the worker's death by SIGSEGV"
    )


@pytest.mark.parametrize("flag", ["--isolate", "--no-isolate", None])
def test_run_answers_the_same_wherever_its_engine_is(
    edgeprep: Run, bundle: Path, pictures: dict[str, Path], flag: str | None
) -> None:
    ended = edgeprep("run", bundle, pictures["green"], *filter(None, [flag]), "--format", "json")
    document = json.loads(ended.stdout)
    assert ended.code == 0
    assert [one["label"] for one in document["results"]] == ["green"]


@pytest.mark.parametrize("words", [[], ["--camera"]], ids=["every frame", "at its own pace"])
def test_films_are_answered_by_a_worker(
    edgeprep: Run, bundle: Path, film: Callable[..., Path], words: list[str]
) -> None:
    path = film("film.mp4", (200, 0, 0), (200, 0, 0), (0, 0, 200), fps=4)
    live = ["--headless"] if words else []
    ended = edgeprep("run", bundle, *words, path, *live, "--isolate", "--format", "jsonl")
    labels = [json.loads(line)["label"] for line in ended.stdout.splitlines()]
    assert (ended.code, labels[-1]) == (0, "blue")
    # At its own pace, a busy machine may drop some but the last.
    assert labels == ["red", "red", "blue"] or words


@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_a_crash_of_the_only_engine_is_an_error_of_the_command(
    edgeprep: Run,
    bundle: Path,
    pictures: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setenv("FAKES_CRASH", "run")
    words = [pictures["red"]] if command == "run" else []
    ended = edgeprep(command, bundle, *words, "--isolate")
    assert (ended.code, ended.stdout) == (1, "")
    assert "must run a model in its worker, got the worker's death by SIGSEGV" in ended.stderr


def test_benchmark_measures_in_workers(edgeprep: Run, bundle: Path) -> None:
    ended = edgeprep("benchmark", bundle, "--rounds", "2", "--isolate", "--format", "json")
    verdicts = [one["verdict"] for one in json.loads(ended.stdout)["candidates"]]
    assert (ended.code, verdicts) == (0, ["chosen", "slower"])


def test_the_variable_must_be_a_word_that_is_known(
    edgeprep: Run, bundle: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "EDGEPREP_ISOLATE", "yes")
    ended = edgeprep("run", bundle, pictures["red"])
    assert ended.code == 2
    assert "EDGEPREP_ISOLATE: must be 0 or 1, or not set, got 'yes'" in ended.stderr
