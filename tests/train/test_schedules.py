"""Learning rates against torch's own schedulers, and by hand."""

import pytest
import torch

from edgeprep.recipe import TrainTable
from edgeprep.train.schedules import LearningRate

HIGHEST, EPOCHS, STEPS = 0.1, 5, 4
COUNT = EPOCHS * STEPS


def rates(epochs: int = EPOCHS, **settings: object) -> list[float]:
    table = TrainTable(**{"epochs": EPOCHS, **settings})
    rate = LearningRate(settings=table, highest=HIGHEST, epochs=epochs, steps=STEPS)
    return [rate.at(step) for step in range(epochs * STEPS)]


def of_torch(scheduler: str, **options: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=HIGHEST)
    schedule = getattr(torch.optim.lr_scheduler, scheduler)(optimizer, **options)
    found = []
    for _ in range(COUNT):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("settings", "scheduler", "options"),
    [
        ({"schedule": "constant"}, "ConstantLR", {"factor": 1.0}),
        (
            {"schedule": "step", "step_epochs": 2, "step_factor": 0.3},
            "StepLR",
            {"step_size": 2 * STEPS, "gamma": 0.3},
        ),
        ({"schedule": "cosine"}, "CosineAnnealingLR", {"T_max": COUNT}),
        (
            {"schedule": "one-cycle"},
            "OneCycleLR",
            {"max_lr": HIGHEST, "total_steps": COUNT, "cycle_momentum": False},
        ),
    ],
    ids=["constant", "step", "cosine", "one-cycle"],
)
def test_a_schedule_goes_as_torch_has_it(settings, scheduler, options):
    # Torch multiplies from step to step, so that its roundings add up.
    assert rates(**settings) == pytest.approx(of_torch(scheduler, **options), abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one-cycle"])
def test_a_warm_up_rises_evenly_and_is_taken_from_the_time_of_what_follows(schedule):
    settings = {"schedule": schedule, "step_epochs": 2}
    found = rates(warmup_epochs=1.0, **settings)
    assert found[:4] == pytest.approx([0.02, 0.04, 0.06, 0.08])
    table = TrainTable(epochs=4, **settings)
    rest = LearningRate(settings=table, highest=HIGHEST, epochs=4, steps=STEPS)
    assert found[4:] == pytest.approx([rest.at(step) for step in range(16)])


def test_a_warm_up_may_be_part_of_an_epoch():
    found = rates(schedule="constant", warmup_epochs=0.5)
    assert found[:3] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1])


def test_a_shorter_fine_tuning_warms_up_for_the_same_part_of_it():
    found = rates(epochs=10, schedule="constant", warmup_epochs=1.0)
    assert sum(rate < HIGHEST for rate in found) == 2 * STEPS


def test_a_training_of_a_single_step_uses_the_highest_rate():
    rate = LearningRate(settings=TrainTable(), highest=HIGHEST, epochs=1, steps=1)
    assert rate.at(0) == HIGHEST
