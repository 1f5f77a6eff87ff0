"""The report of an evaluation: what is in each file, and what is never replaced."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeprep.conversion.evaluation import SOURCE, Evaluation, Score
from edgeprep.conversion.evaluation_report import write_report
from edgeprep.conversion.scoring import Scoring
from edgeprep.data import Prepared
from edgeprep.errors import OutputExists, StorageError
from edgeprep.metrics.class_score import BoxScore, ClassScore
from edgeprep.pictures import read_picture
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.timing import Timing
from edgeprep.tasks.tensors import Tensors

TIMING = Timing(median_ms=1.5, p90_ms=2.0)
CLASSES = (
    ClassScore(precision=1.0, recall=0.5, f1=2 / 3, samples=2),
    ClassScore(precision=None, recall=None, f1=None, samples=0),
)
CONFUSION = np.array([[1, 1], [0, 0]])


@pytest.fixture
def evaluation() -> Evaluation:
    gpu = Candidate(variant="onnx-int8", backend="ort", device="gpu:0/a", options={"threads": 2})
    scores = (
        Score(
            candidate=SOURCE,
            values={"accuracy": 0.75, "top-5": 1.0},
            drops={},
            timing=TIMING,
            classes=CLASSES,
            confusion=CONFUSION,
        ),
        Score(
            candidate=gpu,
            values={"accuracy": 0.5},
            drops={"accuracy": 0.25},
            timing=TIMING,
            classes=CLASSES,
            confusion=CONFUSION,
        ),
    )
    return Evaluation(
        metrics=("accuracy", "top-5"),
        samples=2,
        source=None,
        scores=scores,
        labels=("a, or $b", "ß"),
    )


@pytest.fixture
def report(tmp_path: Path) -> Path:
    directory = tmp_path / "report"
    directory.mkdir()
    return directory


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_each_candidate_has_its_tables_and_its_picture(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    names = write_report(evaluation, tmp_path / "report", overwrite=False)
    assert sorted(names) == sorted(path.name for path in (tmp_path / "report").iterdir())
    assert sorted(names) == [
        *(f"classes-{name}.csv" for name in ("onnx-int8-ort-gpu-0-a", "source-torch-cpu")),
        "confusion-onnx-int8-ort-gpu-0-a.csv",
        "confusion-onnx-int8-ort-gpu-0-a.png",
        "confusion-source-torch-cpu.csv",
        "confusion-source-torch-cpu.png",
        "report.json",
        "scores.csv",
    ]
    assert rows(tmp_path / "report" / "scores.csv") == [
        [
            *("variant", "backend", "device", "options", "accuracy", "top-5"),
            *("accuracy drop", "top-5 drop", "median ms"),
        ],
        ["source", "torch", "cpu", "", "0.75", "1.0", "", "", "1.5"],
        ["onnx-int8", "ort", "gpu:0/a", "threads=2", "0.5", "", "0.25", "", "1.5"],
    ]
    assert rows(tmp_path / "report" / "classes-source-torch-cpu.csv") == [
        ["label", "precision", "recall", "f1", "samples"],
        ["a, or $b", "1.0", "0.5", str(2 / 3), "2"],
        ["ß", "", "", "", "0"],
    ]
    assert rows(tmp_path / "report" / "confusion-source-torch-cpu.csv") == [
        ["label", "a, or $b", "ß"],
        ["a, or $b", "1", "1"],
        ["ß", "0", "0"],
    ]
    assert read_picture(tmp_path / "report" / "confusion-source-torch-cpu.png").shape[2] == 3


def test_a_table_has_the_columns_of_its_kind_of_task(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    rows_ = (
        BoxScore(ap=0.5, ap50=0.75, ap75=0.25, objects=3),
        BoxScore(ap=None, ap50=None, ap75=None, objects=0),
    )
    score = replace(evaluation.scores[0], classes=rows_, confusion=None)
    boxes = replace(evaluation, scores=(score,))
    names = write_report(boxes, tmp_path / "report", overwrite=False)
    # Boxes are found or not: there is no confusion.
    assert names == ("report.json", "scores.csv", "classes-source-torch-cpu.csv")
    assert rows(tmp_path / "report" / "classes-source-torch-cpu.csv") == [
        ["label", "ap", "ap50", "ap75", "objects"],
        ["a, or $b", "0.5", "0.75", "0.25", "3"],
        ["ß", "", "", "", "0"],
    ]
    (candidate,) = boxes.to_json()["candidates"]
    assert candidate["confusion"] is None
    assert candidate["classes"][0] == {
        "label": "a, or $b",
        "ap": 0.5,
        "ap50": 0.75,
        "ap75": 0.25,
        "objects": 3,
    }


def test_tasks_without_classes_have_their_scores_alone(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    score = replace(evaluation.scores[0], classes=(), confusion=None)
    bare = replace(evaluation, scores=(score,), labels=())
    assert write_report(bare, tmp_path / "report", overwrite=False) == ("report.json", "scores.csv")
    assert bare.to_json()["candidates"][0]["classes"] == []


def test_the_document_has_everything(evaluation: Evaluation, report: Path) -> None:
    write_report(evaluation, report, overwrite=False)
    document = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert document == {"schema_version": 1, **json.loads(json.dumps(evaluation.to_json()))}
    source = document["candidates"][0]
    assert source["values"] == {"accuracy": 0.75, "top-5": 1.0}
    assert source["confusion"] == [[1, 1], [0, 0]]
    assert source["classes"][1] == {
        "label": "ß",
        "precision": None,
        "recall": None,
        "f1": None,
        "samples": 0,
    }


def test_a_directory_with_files_is_left_alone(evaluation: Evaluation, report: Path) -> None:
    kept = report / "report.json"
    kept.write_text("mine")
    with pytest.raises(OutputExists, match="must be an empty or new") as caught:
        write_report(evaluation, report, overwrite=False)
    assert str(caught.value) == (
        f"{report}: must be an empty or new directory, got one with files in it; "
        "--overwrite replaces those of an earlier report"
    )
    assert [path.name for path in report.iterdir()] == ["report.json"]
    assert kept.read_text() == "mine"
    write_report(evaluation, report, overwrite=True)
    assert kept.read_text().startswith("{")


def test_a_report_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    evaluation: Evaluation, report: Path
) -> None:
    write_report(evaluation, report, overwrite=False)
    (report / "classes-of-mine.csv").touch()
    source = replace(evaluation, scores=evaluation.scores[:1])
    names = write_report(source, report, overwrite=True)
    assert {path.name for path in report.iterdir()} == {*names, "classes-of-mine.csv"}
    assert len(names) == 5


def test_a_fault_midway_leaves_the_earlier_report(
    evaluation: Evaluation, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(evaluation, report, overwrite=False)
    before = {path.name: path.read_bytes() for path in report.iterdir()}

    def full(path: Path, chunks: object) -> None:
        if path.name.startswith("confusion"):
            raise StorageError("disk is full")
        path.touch()

    monkeypatch.setattr("edgeprep.conversion.evaluation_report.atomic_write", full)
    with pytest.raises(StorageError, match=r"^disk is full$"):
        write_report(replace(evaluation, samples=1), report, overwrite=True)
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


def test_a_task_without_classes_is_scored_without_scikit_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "edgeprep.metrics.per_class", None)
    samples = Prepared(inputs=np.zeros((0, 1, 1, 3), np.uint8), labels=(), skipped=())
    score = Scoring(task=Tensors(), metrics=()).score(SOURCE, [], samples, TIMING, {})
    assert (score.classes, score.confusion) == ((), None)


def test_what_cannot_become_a_directory_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StorageError, match=r"must be a directory, got a file$"):
        write_report(evaluation, file, overwrite=True)
    with pytest.raises(StorageError, match="must lie in an existing directory, got "):
        write_report(evaluation, tmp_path / "no" / "where", overwrite=True)


def test_libraries_that_score_and_draw_wait_until_they_are_needed() -> None:
    code = (
        "import sys, edgeprep.conversion.evaluate, edgeprep.conversion.evaluation_report\n"
        "sys.exit('sklearn' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
