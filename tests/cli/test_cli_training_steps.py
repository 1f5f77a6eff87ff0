"""The bar of an epoch."""

import io

import pytest
from rich.console import Console, RenderableType

from edgeprep.cli.training_steps import TrainingSteps
from edgeprep.train.watching import Tick


def test_an_epoch_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[RenderableType] = []
    monkeypatch.setattr(TrainingSteps, "show", lambda steps, content: shown.append(content))
    steps = TrainingSteps()
    with steps("epoch 2 of 5") as done:
        steps.watch(Tick(epoch=2, epochs=5, step=3, steps=8, loss=0.51234))
        done("loss 0.4")
    console = Console(file=io.StringIO(), width=80)
    console.print(*shown)
    text = console.file.getvalue()
    assert text.startswith("epoch 2 of 5 ━━━")
    assert text.rstrip().endswith("3/8  loss 0.5123")
    assert capsys.readouterr().err.startswith("✓ epoch 2 of 5: loss 0.4 (")


def test_what_is_shown_after_a_step_is_shown_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    steps = TrainingSteps()
    with steps("epoch 1 of 1") as done:
        done("loss 1")
    steps.watch(Tick(epoch=1, epochs=1, step=1, steps=1, loss=1.0))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_step_that_says_why_and_raises_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    steps = TrainingSteps()

    def fail() -> None:
        with steps("onnx-int8") as done:
            done("cannot be used: nothing")
            raise ValueError("nothing")

    with pytest.raises(ValueError, match="nothing"):
        fail()
    assert capsys.readouterr().err.startswith("✗ onnx-int8: cannot be used: nothing (")
