"""`edgeprep train`: what it prints, leaves and answers; killed, stopped, and on two devices."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Project = Callable[..., Path]

EVALUATION = 'evaluation  = { factory = "data:pictures" }'
LEARNED = """training = { factory = "data:pictures", arguments = { count = 27 } }
validation  = { factory = "data:pictures", arguments = { count = 6 } }
"""
TRAIN = """
[train]
epochs = 4
batch = 9
accelerator = "cpu"
"""
FILES = [
    "checkpoint.safetensors",
    "curve.png",
    "metrics.csv",
    "metrics.jsonl",
    "result.json",
    "weights.safetensors",
]
# Each step takes half a second, so that there is time for a signal in its middle.
SLOWLY = """
import time
from edgeprep.train.loop import Loop
step = Loop._step
Loop._step = lambda loop, batch: (time.sleep(0.5), step(loop, batch))
from edgeprep.cli import main
main()
"""


@pytest.fixture
def recipe(project: Project) -> Callable[..., Path]:
    """A recipe with training data; `[train]` may have more."""

    def write(train: str = "", *, batch: int = 9) -> Path:
        settings = TRAIN.replace("batch = 9", f"batch = {batch}")
        return project({EVALUATION: f"{EVALUATION}\n{LEARNED}"}, more=f"{settings}{train}")

    return write


def test_a_training_prints_its_scores_and_where_the_weights_are(edgeprep: Run, recipe: Run) -> None:
    ended = edgeprep("train", recipe(), "-o", "out")
    assert ended.code == 0
    best, *scores, beside, weights = ended.stdout.splitlines()
    assert best.startswith("best epoch ")
    assert best.endswith(" of 4")
    assert [line.rpartition(" on ")[2] for line in scores] == ["data.validation", "data.evaluation"]
    assert beside == "beside the weights: checkpoint.safetensors, metrics.csv, curve.png"
    assert weights == "out/weights.safetensors"
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    titles = [line.split(": ")[0] for line in ended.stderr.splitlines()]
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    overlap, second, third = warnings
    told = (
        "6 of the 6 pictures of data.validation are in data.training, too, identical to the pixel"
    )
    assert overlap == f"warning: {told}; a score on them says little of new pictures"
    assert second.startswith("warning: 24 of the 24 pictures of data.evaluation are in data.train")
    assert third.startswith("warning: 6 of the 24 pictures of data.evaluation are in data.valid")
    assert titles == [
        "✓ start from",
        "✓ read the training data",
        "warning",
        "warning",
        "warning",
        *(f"✓ epoch {epoch} of 4" for epoch in range(1, 5)),
        "✓ score the best weights on the evaluation data",
    ]


def test_a_training_as_json_is_one_document(edgeprep: Run, recipe: Run) -> None:
    ended = edgeprep("train", recipe(), "--quiet", "--format", "json")
    assert ended.code == 0
    document = json.loads(ended.stdout)
    # By the recipe's name, in the working directory.
    assert document == json.loads(Path("small-training/result.json").read_text())
    assert document["schema_version"] == 1
    assert document["weights"] == "small-training/weights.safetensors"
    # Warnings are no progress.
    assert ended.stderr == "".join(f"warning: {text}\n" for text in document["warnings"])
    assert len(document["warnings"]) == 3


def test_a_finished_training_is_not_replaced_without_a_word(edgeprep: Run, recipe: Run) -> None:
    assert edgeprep("train", recipe(), "-o", "out", "-q").code == 0
    ended = edgeprep("train", recipe(), "-o", "out", "-q")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: out: holds a finished training; pass --overwrite (overwrite=True) to train "
        "anew, or name another directory\n"
    )
    assert edgeprep("train", recipe(), "-o", "out", "-q", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume",), "--resume: out must hold a training, got none"),
        (("--resume", "--overwrite"), "--resume and --overwrite exclude each other"),
    ],
)
def test_wrong_usage_is_told(
    edgeprep: Run, recipe: Run, words: tuple[str, ...], message: str
) -> None:
    ended = edgeprep("train", recipe(), "-o", "out", *words)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"Error: {message}"
    assert not Path("out").exists()


def test_a_recipe_without_training_data_is_wrong(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("train", project(), "-o", "out")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: data.training: required key is missing; name the pictures that are learned "
        "from\n"
    )


def test_a_loss_that_is_no_number_is_a_failure(edgeprep: Run, recipe: Run) -> None:
    settings = 'optimizer = "sgd"\nlearning_rate = 1e30\nschedule = "constant"\n'
    ended = edgeprep("train", recipe(settings), "-o", "out", "-q")
    assert (ended.code, ended.stdout) == (1, "")
    *_, told = ended.stderr.splitlines(keepends=True)
    assert told.startswith("edgeprep: train: epoch 1, step ")
    assert told.endswith(
        "; no epoch has ended, so that no weights are kept; lower train.learning_rate, or set "
        "train.clip_norm; then pass --overwrite (overwrite=True) to train anew, or name another "
        "directory\n"
    )


@pytest.fixture
def weights(edgeprep: Run, recipe: Run) -> bytes:
    """What a training comes to that nothing stops."""
    assert edgeprep("train", recipe(), "-o", "straight", "-q").code == 0
    return Path("straight/weights.safetensors").read_bytes()


def wait_for(path: Path, process: Any) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def started_slowly(*words: object) -> subprocess.Popen[str]:
    """A training that takes its time, in a process of its own."""
    program = [sys.executable, "-c", SLOWLY, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def with_signals() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(program, encoding="utf-8", preexec_fn=with_signals, **pipes)


@pytest.mark.parametrize("file", ["checkpoint.safetensors", "metrics.csv"])
def test_a_training_that_is_killed_comes_to_the_same_weights(
    edgeprep: Run, recipe: Run, weights: bytes, file: str
) -> None:
    process = started_slowly("train", recipe(), "-o", "out", "-q")
    wait_for(Path("out") / file, process)
    time.sleep(0.6)  # in the middle of a step after it
    process.kill()
    process.communicate()
    assert not Path("out/result.json").exists()
    assert edgeprep("train", recipe(), "-o", "out", "--resume", "-q").code == 0
    assert Path("out/weights.safetensors").read_bytes() == weights


def test_an_interrupt_keeps_every_step_up_to_it(edgeprep: Run, recipe: Run, weights: bytes) -> None:
    process = started_slowly("train", recipe(), "-o", "out")
    wait_for(Path("out/checkpoint.safetensors"), process)
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    # click ends the line on which a terminal shows ^C.
    *_, epoch, empty, end = stderr.splitlines()
    assert epoch.startswith("✗ epoch 1 of 4: interrupted (")
    assert (empty, end) == ("", "edgeprep: stopped by SIGINT")
    header = Path("out/unfinished-epoch.safetensors").read_bytes()
    length = int.from_bytes(header[:8], "little")
    state = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["state"])
    assert state["step"] > 0
    assert edgeprep("train", recipe(), "-o", "out", "-q").code == 0
    assert Path("out/weights.safetensors").read_bytes() == weights


def test_two_processes_share_a_training(spawn: Run, recipe: Run) -> None:
    settings = 'strategy = "ddp"\ndevices = 2\n'
    words = ("train", recipe(settings, batch=8), "-o", "out")
    ended = spawn(*words, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "out/weights.safetensors"
    # Told by one of them alone.
    assert ended.stderr.count("epoch 4 of 4") == 1
    assert "read the training data" in ended.stderr
    rows = Path("out/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [1, 2, 3, 4]
