"""Pictures of a data set that vary: the same from the same seed, whoever loads them."""

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from edgeprep.stages.non_local_means import NonLocalMeans
from edgeprep.stages.random.adjust import Brightness
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.noise import RandomNoise
from edgeprep.stages.random.rotate import RandomRotate
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec
from edgeprep.train import Augment

# Workers are forks. Where other tests have loaded jax, it warns of them; no worker touches it.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")

COUNT = 10
STAGES = (RandomFlip(vertical=0.5), RandomCrop(size=(12, 11), padding=3), RandomNoise(sigma=20))


def picture(index):
    return np.random.default_rng(index).integers(0, 256, (16, 15, 3), dtype=np.uint8)


class Pictures(Dataset):
    """What comes out of `augment`, and where in the data set it was."""

    def __init__(self, augment):
        self.augment = augment

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return self.augment(picture(index), index), index


class Transformed(Pictures):
    """As a data set of others, which calls a transform without an index, on one picture."""

    def __getitem__(self, index):
        return self.augment(picture(0)), index


def epoch(loader):
    """All pictures of one epoch by their index."""
    return {
        int(index): varied.numpy().tobytes()
        for batch in loader
        for varied, index in zip(*batch, strict=True)
    }


def alone(augment):
    return {index: augment(picture(index), index).tobytes() for index in range(COUNT)}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_pictures_depend_on_neither_workers_nor_order(workers, shuffle):
    data = Pictures(Augment(STAGES, seed=7))
    loader = DataLoader(data, batch_size=3, num_workers=workers, shuffle=shuffle)
    assert epoch(loader) == alone(Augment(STAGES, seed=7))


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_see_the_epoch(persistent):
    augment = Augment(STAGES, seed=7)
    loader = DataLoader(
        Pictures(augment), batch_size=3, num_workers=2, persistent_workers=persistent
    )
    found = []
    for number in (0, 1, 5, 1):
        augment.set_epoch(number)
        found.append(epoch(loader))
        other = Augment(STAGES, seed=7)
        other.set_epoch(number)
        assert found[-1] == alone(other)
    assert found[1] == found[3]
    # Every picture is another one in another epoch.
    assert not any(found[0][index] in (found[1][index], found[2][index]) for index in found[0])


def test_an_epoch_of_its_own_is_no_other_processes_business():
    augment, other = Augment(STAGES, seed=7), Augment(STAGES, seed=7)
    third = augment.at(3)
    augment.set_epoch(5)
    other.set_epoch(3)
    assert (third.epoch, augment.epoch) == (3, 5)
    assert alone(third) == alone(other)


def test_a_process_that_was_spawned_sees_the_epoch():
    augment = Augment(STAGES, seed=7)
    # How an object gets to a worker that does not share the memory of its parent.
    sent = ForkingPickler.loads(ForkingPickler.dumps(augment))
    augment.set_epoch(3)
    assert sent.epoch == 3
    assert alone(sent) == alone(augment)


def test_seed_epoch_and_index_give_draws_of_their_own():
    draws = set()
    for seed in range(3):
        augment = Augment([RandomNoise(sigma=1)], seed=seed)
        for number in range(3):
            augment.set_epoch(number)
            draws |= {augment.draw((8, 8), index) for index in range(3)}
    assert len(draws) == 27


def test_samplers_may_give_indices_of_numpy_and_torch():
    augment = Augment(STAGES, seed=0)
    expected = augment(picture(4), 4)
    for index in (np.int64(4), np.uint8(4), torch.tensor(4)):
        assert np.array_equal(augment(picture(4), index), expected)


@pytest.mark.parametrize("persistent", [False, True])
def test_without_an_index_every_picture_of_every_epoch_is_another(persistent):
    def two_epochs():
        torch.manual_seed(3)
        loader = DataLoader(
            Transformed(Augment(STAGES, seed=0)),
            batch_size=2,
            num_workers=2,
            persistent_workers=persistent,
        )
        return [epoch(loader), epoch(loader)]

    found = two_epochs()
    assert len({content for each in found for content in each.values()}) == 2 * COUNT
    assert two_epochs() == found


def test_without_an_index_workers_see_the_epoch_too():
    augment = Augment(STAGES, seed=0)
    loader = DataLoader(Transformed(augment), batch_size=2, num_workers=2)
    found = []
    for number in (0, 1, 0):
        # As those do who seed every epoch alike.
        torch.manual_seed(3)
        augment.set_epoch(number)
        found.append(epoch(loader))
    assert found[2] == found[0]
    assert {*found[0].values()}.isdisjoint(found[1].values())


def test_without_an_index_and_workers_draws_go_on_and_an_epoch_begins_them_anew():
    augment = Augment(STAGES, seed=0)
    loader = DataLoader(Transformed(augment), batch_size=2)
    found = []
    for number in (0, None, 1, 0):
        if number is not None:
            augment.set_epoch(number)
        found.append(epoch(loader))
    assert found[3] == found[0]
    assert len({content for each in found for content in each.values()}) == 3 * COUNT


def test_what_is_drawn_is_what_is_done():
    augment = Augment(STAGES, seed=2)
    for index in range(COUNT):
        chain = augment.draw((16, 15), index)
        assert np.array_equal(chain.prepare(picture(index))[0], augment(picture(index), index))
        assert chain.output.replace(dtype="uint8") == augment.output


def test_boxes_go_along():
    stages = (RandomFlip(vertical=0.5), RandomTurn(), RandomCrop(size=(30, 28), padding=2))
    augment = Augment(stages, seed=1)
    marked = np.zeros((40, 40, 3), np.uint8)
    marked[15:19, 17:24] = 255
    for index in range(20):
        chain = augment.draw((40, 40), index)
        (back,) = chain.backward(40, 40)
        rows, columns = np.nonzero(chain.prepare(marked)[0, ..., 0])
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert back.inverse().boxes([17, 15, 24, 19]).tolist() == seen


def test_values_are_rounded_halves_up():
    augment = Augment([Brightness(factor=0.5)], seed=0)
    levels = np.array([[[0, 1, 2], [3, 254, 255]]], np.uint8)
    assert augment(levels, 0).tolist() == [[[0, 1, 1], [2, 127, 128]]]


def test_stages_that_do_not_vary_may_stand_between():
    augment = Augment([Resize(size=20, mode="short"), RandomCrop(size=(18, 17))], seed=0)
    assert augment.output == ImageSpec(height=18, width=17)
    assert augment(picture(0), 0).shape == (18, 17, 3)
    assert augment(np.zeros((30, 90, 3), np.uint8), 0).shape == (18, 17, 3)


def test_stages_of_the_host_may_vary_pictures_here():
    augment = Augment([NonLocalMeans(h=9.0, search=5), RandomFlip()], seed=0)
    assert augment(picture(0), 0).shape == (16, 15, 3)


def test_nothing_to_do_gives_a_view():
    given = picture(0)
    assert np.shares_memory(Augment([RandomFlip(horizontal=0)], seed=0)(given, 0), given)


def test_planes_come_through_where_nothing_is_to_be_done():
    planes = np.arange(36, dtype=np.uint8).reshape(9, 4, 1)
    assert np.array_equal(Augment([], seed=0, input=ImageSpec(color="nv12"))(planes, 0), planes)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(picture(1)[::-1, ::-1], id="negative strides"),
        pytest.param(np.asfortranarray(picture(1)), id="Fortran order"),
        pytest.param(picture(1)[::2, ::2].repeat(2, 0).repeat(2, 1)[:, :15], id="other"),
    ],
)
def test_pictures_in_any_memory_stay_as_they_are(given):
    stages = (RandomColorJitter(brightness=1, hue=0.5), *STAGES, RandomRotate(degrees=9))
    augment = Augment(stages, seed=3)
    given.setflags(write=False)
    contiguous = np.ascontiguousarray(given).copy()
    found = augment(given, 0)
    assert np.array_equal(found, augment(contiguous, 0))
    assert found.flags["C_CONTIGUOUS"]
