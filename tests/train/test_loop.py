"""What single steps do, by hand, and what a signal keeps."""

import os
import signal
import time
from dataclasses import replace

import pytest
import torch

from edgeprep.interfaces import Objective
from edgeprep.metrics import Metric
from edgeprep.train.checkpoint import read_checkpoint
from edgeprep.train.files import EPOCH

PLAIN = {'"model:build"': '"model:plain"'}
ONE_STEP = {**PLAIN, "epochs        = 3": "epochs = 1", "batch         = 8": "batch = 24"}
SGD = 'optimizer = "sgd"\nmomentum = 0.0\nweight_decay = 0.0\nschedule = "constant"'


class Steep(Objective):
    """Its gradient is 3 and 4 for the first two biases of the last layer, and 0 elsewhere."""

    def loss(self, network, inputs, labels):
        return (network[-1].bias * torch.tensor([3.0, 4.0, 0.0])).sum()


@pytest.mark.parametrize(
    ("clip", "expected"),
    [("", [-0.15, -0.2, 0.0]), ("clip_norm = 0.5", [-0.015, -0.02, 0.0])],
    ids=["any norm", "a tenth of the norm"],
)
def test_gradients_are_clipped_to_their_norm(project, network, train, clip, expected):
    recipe = project(ONE_STEP, train=f"{SGD}\n{clip}")
    before = network(recipe)[-1].bias.detach()
    # At a learning rate of 0.05.
    after = train(recipe, objective=Steep()).network[-1].bias
    assert (after - before).tolist() == pytest.approx(expected, abs=1e-6)


def certainty(predictions, labels):
    """A score that every weight changes."""
    return sum(prediction.scores[0] for prediction in predictions) / len(labels)


def test_the_average_of_the_weights_is_what_is_scored_and_kept(
    project, opened, network, train, tmp_path
):
    metric = Metric(name="certainty", higher_is_better=True, score=certainty)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    recipe = project(ONE_STEP, train=SGD)
    before = network(recipe).state_dict()
    learned = train(recipe, storage=elsewhere).network.state_dict()
    recipe = project(ONE_STEP, train=f"{SGD}\nema = 0.8")
    data = replace(opened(recipe), metric=metric)
    fitted = train(recipe, data=data)
    for name, value in fitted.network.state_dict().items():
        # Of the first step the past weighs a tenth, whatever `ema` says.
        expected = 0.1 * before[name] + 0.9 * learned[name]
        assert torch.allclose(value, expected, rtol=1e-5, atol=1e-7)
        assert not torch.allclose(value, learned[name], rtol=1e-5, atol=1e-7)
    assert fitted.best == pytest.approx(data.score(fitted.network), abs=1e-6)
    other = network(recipe)
    other.load_state_dict(learned)
    assert abs(fitted.best - data.score(other)) > 1e-4


class Came(Exception):
    pass


def test_a_signal_keeps_the_seconds_of_its_epoch(project, train, storage):
    def handler(number, frame):
        raise Came("SIGTERM")

    def wait_and_signal(tick):
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(Came, match="SIGTERM"):
            train(project(), watch=wait_and_signal)
    finally:
        signal.signal(signal.SIGTERM, before)
    state = read_checkpoint(storage / EPOCH).state
    assert state["step"] == 1
    assert state["seconds"] >= 0.2
    assert train(project()).history[0].seconds >= 0.2
