"""What all stages that vary pictures have in common; mirrors and turns."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from edgeprep.errors import RecipeError
from edgeprep.interfaces import Stage
from edgeprep.registry import Registry
from edgeprep.stages.chain import Chain
from edgeprep.stages.flip import Flip
from edgeprep.stages.primitives.onnx import build_onnx
from edgeprep.stages.primitives.torch import ChainModule
from edgeprep.stages.random.blur import RandomBlur
from edgeprep.stages.random.color_jitter import RandomColorJitter
from edgeprep.stages.random.crop import RandomCrop
from edgeprep.stages.random.cutout import RandomCutout
from edgeprep.stages.random.flip import RandomFlip
from edgeprep.stages.random.noise import RandomNoise
from edgeprep.stages.random.resized_crop import RandomResizedCrop
from edgeprep.stages.random.rotate import RandomRotate
from edgeprep.stages.random.turn import RandomTurn
from edgeprep.stages.rotate import Rotate
from edgeprep.tensors import ImageSpec

STAGES = (
    RandomFlip(),
    RandomTurn(),
    RandomCrop(size=(4, 3)),
    RandomResizedCrop(size=(4, 3)),
    RandomRotate(degrees=30),
    RandomColorJitter(brightness=0.5),
    RandomNoise(sigma=9),
    RandomBlur(),
    RandomCutout(),
)
OFTEN = [stage for stage in STAGES if hasattr(stage, "probability")]
SQUARE = ImageSpec(height=40, width=40)
# A right stage gets a lower one from one seed of a million; the seeds here stay the same.
UNLIKELY = 1e-6


def drawn(stage, seed=0, image=SQUARE):
    return stage.draw(np.random.default_rng(seed), image)


def name(stage):
    return stage.name


@pytest.mark.parametrize("stage", STAGES, ids=name)
def test_a_seed_decides_what_is_drawn(stage):
    assert [drawn(stage, seed) for seed in range(20)] == [drawn(stage, seed) for seed in range(20)]
    assert len({drawn(stage, seed) for seed in range(20)}) > 1


@pytest.mark.parametrize("stage", STAGES, ids=name)
def test_draws_of_one_generator_differ(stage):
    generator = np.random.default_rng(0)
    assert len({stage.draw(generator, SQUARE) for _ in range(20)}) > 1


@pytest.mark.parametrize("stage", OFTEN, ids=name)
def test_of_probability_0_nothing_is_drawn_and_of_1_always_something(stage):
    never, always = (replace(stage, probability=p) for p in (0.0, 1.0))
    assert {drawn(never, seed) for seed in range(500)} == {()}
    assert () not in {drawn(always, seed) for seed in range(500)}


@pytest.mark.parametrize("stage", OFTEN, ids=name)
def test_something_is_drawn_as_often_as_its_probability_says(stage):
    generator = np.random.default_rng(1)
    rare = replace(stage, probability=0.3)
    count = sum(rare.draw(generator, SQUARE) != () for _ in range(2000))
    assert chisquare([count, 2000 - count], [600, 1400]).pvalue > UNLIKELY


@pytest.mark.parametrize("stage", STAGES, ids=name)
def test_nothing_is_computed_before_a_draw(stage):
    chain = Chain(input=SQUARE, stages=(stage,))
    roads = {
        "apply()": [
            lambda: chain.prepare(np.zeros((40, 40, 3), np.uint8)),
            lambda: ChainModule(chain),
            lambda: build_onnx(chain),
        ],
        "backward()": [lambda: chain.backward(40, 40)],
    }
    for got, attempts in roads.items():
        for attempt in attempts:
            with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
                attempt()
            assert str(caught.value) == (
                f"{stage.name}: must be drawn anew for every picture, got {got}; it varies "
                "pictures for training, by edgeprep.train, and is never exported"
            )


def test_every_built_in_random_stage_is_tested_here():
    offered: tuple[type[Stage], ...] = Registry(installed=False).classes("stage")
    assert {type(stage) for stage in STAGES} == {cls for cls in offered if cls.training_only}


def test_flips_are_independent_and_as_likely_as_asked():
    generator = np.random.default_rng(2)
    stage = RandomFlip(horizontal=0.3, vertical=0.8)
    across, down = Flip(axis="horizontal"), Flip(axis="vertical")
    found = [stage.draw(generator, SQUARE) for _ in range(5000)]
    counts = [found.count(each) for each in ((), (across,), (down,), (across, down))]
    # 0.7 · 0.2, 0.3 · 0.2, 0.7 · 0.8 and 0.3 · 0.8 of 5000.
    assert chisquare(counts, [700, 300, 2800, 1200]).pvalue > UNLIKELY


def test_flips_of_probability_1_and_0_are_certain():
    both = RandomFlip(horizontal=1, vertical=1)
    assert {drawn(both, seed) for seed in range(99)} == {
        (Flip(axis="horizontal"), Flip(axis="vertical"))
    }
    assert {drawn(RandomFlip(horizontal=0), seed) for seed in range(99)} == {()}


def test_each_of_four_ways_round_is_as_likely():
    generator = np.random.default_rng(3)
    found = [RandomTurn().draw(generator, SQUARE) for _ in range(4000)]
    turns = [(), *((Rotate(clockwise=angle),) for angle in (90, 180, 270))]
    assert chisquare([found.count(turn) for turn in turns], [1000] * 4).pvalue > UNLIKELY


def test_only_the_angles_asked_for_are_drawn():
    stage = RandomTurn(clockwise=(180,), probability=1)
    oblong = ImageSpec(height=4, width=9)
    assert {drawn(stage, seed, oblong) for seed in range(99)} == {(Rotate(clockwise=180),)}
    assert stage.output(oblong) == oblong
