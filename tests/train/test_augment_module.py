"""Pictures that vary as a part of a model: batches, modes, gradients, and no road out."""

import copy
import re

import numpy as np
import pytest
import torch

from edgeprep.errors import DTypeError, ExportError, RecipeError, ShapeError
from edgeprep.stages.chain import Chain
from edgeprep.stages.gaussian import Gaussian
from edgeprep.stages.non_local_means import NonLocalMeans
from edgeprep.stages.normalize import Normalize
from edgeprep.stages.random.adjust import Brightness
from edgeprep.stages.random.blur import RandomBlur
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.noise import RandomNoise
from edgeprep.stages.random.rotate import RandomRotate
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.tensors import ImageSpec
from edgeprep.train import AugmentModule

STAGES = (
    RandomFlip(),
    RandomCrop(size=(12, 11), padding=3),
    RandomRotate(degrees=20, probability=0.5),
    RandomColorJitter(brightness=0.3, hue=0.1),
    RandomNoise(sigma=5, probability=0.5),
)


def batch(count=6, height=16, width=15):
    pictures = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    return torch.from_numpy(pictures)


def test_in_eval_mode_pictures_are_left_alone():
    module = AugmentModule(STAGES, seed=0).eval()
    for pictures in (batch(), batch().half(), batch()[:0]):
        assert module(pictures) is pictures


def test_in_train_mode_every_batch_of_an_epoch_is_varied_anew():
    module, pictures = AugmentModule(STAGES, seed=0), batch()
    found = {module(pictures).numpy().tobytes() for _ in range(5)}
    module.set_epoch(1)
    found |= {module(pictures).numpy().tobytes() for _ in range(5)}
    assert len(found) == 10


def test_an_epoch_repeats_whatever_came_before_it():
    one, other = AugmentModule(STAGES, seed=4), AugmentModule(STAGES, seed=4)
    one.set_epoch(2)
    expected = [one(batch()) for _ in range(3)]
    other(batch())
    other.eval()(batch())
    other.train().set_epoch(2)
    assert all(torch.equal(other(batch()), each) for each in expected)
    another = AugmentModule(STAGES, seed=5)
    another.set_epoch(2)
    assert not torch.equal(another(batch()), expected[0])


def test_every_picture_is_drawn_for_alone_and_keeps_its_place():
    pictures = batch(64, 5, 5)
    turns = [torch.rot90(pictures, quarters, (1, 2)) for quarters in range(4)]
    ways = torch.stack([way for turn in turns for way in (turn, turn.flip(2))])
    module = AugmentModule([RandomFlip(), RandomTurn()], seed=0)
    varied = module(pictures)
    # Which of the eight ways each picture went: one, and over a batch all of them.
    went = (ways == varied).flatten(2).all(dim=2)
    assert went.sum(dim=0).tolist() == [1] * 64
    assert went.any(dim=1).all()


def test_the_module_computes_what_a_data_set_would():
    """Each picture alone in numpy, by the chains that the module drew."""
    drawn = []

    class Kept(RandomFlip):
        def draw(self, generator, image):
            steps = [step for stage in STAGES for step in stage.draw(generator, image)]
            drawn.append(tuple(steps))
            return drawn[-1]

        def output(self, image):
            return image.replace(height=12, width=11, dtype="float32")

    pictures = batch()
    varied = AugmentModule([Kept()], seed=0)(pictures)
    assert varied.dtype == torch.uint8
    assert len(drawn) == 6
    for picture, steps, found in zip(pictures.numpy(), drawn, varied.numpy(), strict=True):
        expected = Chain(input=ImageSpec(), stages=steps).prepare(picture)[0].astype(int)
        # A value may be rounded to either side where the engines are 1e-5 levels apart.
        assert np.abs(found - expected).max() <= 1
        assert np.mean(found != expected) < 0.002


def test_floats_stay_floats_and_levels_are_rounded_halves_up():
    levels = torch.tensor([[[[0, 1, 2], [3, 254, 255]]]], dtype=torch.uint8)
    module = AugmentModule([Brightness(factor=0.5)], seed=0)
    assert module(levels).tolist() == [[[[0, 1, 1], [2, 127, 128]]]]
    assert module(levels).dtype == torch.uint8
    assert module(levels.float()).tolist() == [[[[0, 0.5, 1], [1.5, 127, 127.5]]]]


def test_whole_pictures_stay_whole_where_some_are_not_varied():
    module = AugmentModule([RandomNoise(sigma=9, probability=0.5)], seed=1)
    pictures = batch(40)
    varied = module(pictures)
    same = (varied == pictures).flatten(1).all(dim=1).sum()
    assert varied.dtype == torch.uint8
    assert 8 < same < 32


def test_a_checkpoint_does_not_change():
    layer = torch.nn.Linear(3, 2)
    model = torch.nn.Sequential(AugmentModule(STAGES, seed=0), layer)
    assert [*AugmentModule(STAGES, seed=0).parameters()] == []
    assert AugmentModule(STAGES, seed=0).state_dict() == {}
    plain = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(3, 2))
    assert model.load_state_dict(plain.state_dict()).missing_keys == []
    assert [*model.state_dict()] == ["1.weight", "1.bias"]


def test_a_copy_goes_on_alike_and_alone():
    module = AugmentModule(STAGES, seed=0)
    module(batch())
    other = copy.deepcopy(module)
    expected = [module(batch()) for _ in range(2)]
    assert all(torch.equal(other(batch()), each) for each in expected)


def test_gradients_reach_the_pictures():
    pictures = batch().float().requires_grad_()
    # No value reaches 255 at half of what it was.
    module = AugmentModule([RandomFlip(), Brightness(factor=0.5), Gaussian(sigma=1.5)], seed=0)
    module(pictures)[:, 8, 7].sum().backward()
    # Weights of a Gaussian add up to 1 wherever the pixel came from, in each of three channels.
    assert pictures.grad.sum(dim=(1, 2, 3)).numpy() == pytest.approx([1.5] * 6, abs=1e-5)


def test_half_precision_around_it_changes_nothing():
    module, pictures = AugmentModule([RandomBlur(sigma=(2, 3))], seed=0), batch()
    expected = module(pictures.float())
    module.set_epoch(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert (pictures[0, ..., 0].float() @ torch.ones(15, 2)).dtype == torch.bfloat16
        found = module(pictures.float())
    assert torch.equal(found, expected)


def test_exported_in_eval_mode_it_is_nothing():
    module = AugmentModule(STAGES, seed=0).eval()
    program = torch.export.export(torch.nn.Sequential(module, torch.nn.Flatten()), (batch(),))
    called = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert called == ["aten.flatten.using_ints"]
    assert torch.equal(program.module()(batch()), batch().flatten(1))


REFUSAL = (
    "augment: must not be exported, got a module in train mode, in which it varies pictures; "
    "call model.eval() first"
)


def test_in_train_mode_it_is_not_exported():
    module = AugmentModule(STAGES, seed=0)
    with pytest.raises(ExportError) as caught:  # noqa: PT011 -- the whole message is compared
        torch.export.export(module, (batch(),))
    assert str(caught.value) == REFUSAL


def test_in_train_mode_it_is_not_exported_strictly_either():
    # torch wraps what is raised while it reads the code.
    with pytest.raises(RuntimeError, match=re.escape(REFUSAL)):
        torch.export.export(AugmentModule(STAGES, seed=0), (batch(),), strict=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_in_train_mode_it_is_not_traced():
    with pytest.raises(ExportError) as caught:  # noqa: PT011 -- the whole message is compared
        torch.jit.trace(AugmentModule(STAGES, seed=0), (batch(),))
    assert str(caught.value) == REFUSAL


def test_a_compiled_model_varies_pictures_in_train_mode_alone():
    module = AugmentModule(STAGES, seed=0)
    model = torch.nn.Sequential(module, torch.nn.Flatten())
    expected = [model(batch()) for _ in range(2)]
    module.set_epoch(0)
    compiled = torch.compile(model, backend="eager")
    assert all(torch.equal(compiled(batch()), each) for each in expected)
    compiled.eval()
    assert torch.equal(compiled(batch()), batch().flatten(1))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (batch().half(), DTypeError, "pictures: must be uint8 or float32, got torch.float16"),
        (
            batch().permute(0, 3, 1, 2),
            ShapeError,
            "pictures: must have shape (N, H, W, 3), got (6, 3, 16, 15)",
        ),
        (batch()[0], ShapeError, "pictures: must have shape (N, H, W, 3), got (16, 15, 3)"),
        (batch()[:0], ShapeError, "pictures: must have shape (N, H, W, 3), got (0, 16, 15, 3)"),
        (
            batch()[:, :4],
            ShapeError,
            (
                "picture: random-crop needs pictures of at least [6, 5] pixels, got [4, 15]; "
                "resize first, or raise padding"
            ),
        ),
    ],
)
def test_pictures_that_cannot_be_varied_are_refused(given, error, message):
    with pytest.raises(error) as caught:
        AugmentModule(STAGES, seed=0)(given)
    assert str(caught.value) == message


def test_pictures_of_one_size_are_asked_for_by_it():
    module = AugmentModule([RandomFlip()], seed=0, input=ImageSpec(height=16, color="grey"))
    with pytest.raises(ShapeError) as caught:  # noqa: PT011 -- the whole message is compared
        module(batch())
    assert str(caught.value) == "pictures: must have shape (N, 16, W, 1), got (6, 16, 15, 3)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed: must be a whole number from 0, got -1"),
        (
            {"seed": 0, "stages": [RandomFlip(), NonLocalMeans(h=9.0)]},
            (
                "augment[1]: non-local-means must run on the host, got it in a module; "
                f"{NonLocalMeans.host_only}; vary pictures in the data set, by Augment"
            ),
        ),
        (
            {"seed": 0, "stages": [Normalize(mean=(0.5,) * 3, std=(0.5,) * 3)]},
            (
                "augment[0]: normalize must leave pictures of range '0..255', as they arrive, "
                "got 'normalized'; put it under [[preprocess]]"
            ),
        ),
    ],
)
def test_what_it_cannot_be_made_of_is_refused(options, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        AugmentModule(**{"stages": STAGES, **options})
    assert str(caught.value) == message


def test_an_epoch_that_is_none_is_refused():
    with pytest.raises(RecipeError, match=r"^epoch: must be a whole number from 0, got 0\.5$"):
        AugmentModule([], seed=0).set_epoch(0.5)
