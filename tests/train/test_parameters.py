"""What learns, how quickly, and by which optimizer."""

from copy import deepcopy

import pytest
import torch

from edgeprep.errors import RecipeError
from edgeprep.recipe import TrainTable
from edgeprep.train.learner import Learner
from edgeprep.train.modules import match_pattern
from edgeprep.train.objectives import CrossEntropy
from edgeprep.train.optimizer_state import optimizer_state, restore_optimizer
from edgeprep.train.parameters import build_optimizer, freeze, set_rate

NOTHING = torch.nn.ModuleList()


@pytest.fixture
def network():
    torch.manual_seed(0)
    return torch.nn.ModuleDict(
        {
            "stem": torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)),
            "body": torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.BatchNorm2d(4)),
            "head": torch.nn.Linear(4, 2),
        }
    )


def learning(network):
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def test_all_learns_that_is_not_frozen(network):
    network.requires_grad_(requires_grad=False)
    assert freeze(network, TrainTable(freeze=("stem", "body.1"))) == ("stem", "body.1")
    assert learning(network) == {"body.0.weight", "body.0.bias", "head.weight", "head.bias"}


def test_whole_numbers_do_not_learn():
    network = torch.nn.Linear(2, 1)
    network.table = torch.nn.Parameter(torch.zeros(2, dtype=torch.int64), requires_grad=False)
    freeze(network, TrainTable())
    assert learning(network) == {"weight", "bias"}


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("stm.*", "stem.*"),
        ("bodi.?", "body.?"),
        ("*hed", "*head"),
        ("*haed*", "*head*"),
        ("body.10", "body.1"),
    ],
)
def test_what_is_suggested_for_a_pattern_matches_and_has_its_wildcards(network, pattern, meant):
    with pytest.raises(RecipeError, match=r"did you mean") as fault:
        match_pattern(network, pattern, "here")
    assert str(fault.value) == (
        f"here: must match a module of the network, got {pattern!r}; did you mean {meant!r}?"
    )
    assert match_pattern(network, meant, "here")


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ("haed",),
            "train.freeze[0]: must match a module of the network, got 'haed'; did you mean 'head'?",
        ),
        (
            ("stem", "zzz*"),
            (
                "train.freeze[1]: must match a module of the network, got 'zzz*'; "
                "known here: 'stem', 'body', 'head', 'stem.0', 'stem.1', 'body.0', 'body.1'"
            ),
        ),
        (
            ("*",),
            (
                "train.freeze: must leave a parameter that learns, got ['*']; at least the last "
                "layer, 'head', should learn"
            ),
        ),
    ],
)
def test_a_pattern_that_freezes_nothing_or_everything_is_refused(network, patterns, message):
    with pytest.raises(RecipeError, match=r"^train\.freeze") as fault:
        freeze(network, TrainTable(freeze=patterns))
    assert str(fault.value) == message


def test_a_network_without_parameters_has_nothing_to_learn():
    with pytest.raises(RecipeError, match=r"^model\.factory") as fault:
        freeze(torch.nn.ReLU(), TrainTable())
    assert str(fault.value) == (
        "model.factory: the network must have a parameter to learn, got none"
    )


def test_batch_normalization_that_is_frozen_stays_in_use(network):
    learner = Learner(network, CrossEntropy(None, TrainTable()), ("stem",)).train()
    assert not network["stem"][1].training
    assert network["stem"][0].training
    assert network["body"][1].training
    assert not learner.eval().network["body"][1].training


def test_rates_multiply_the_learning_rate_and_the_last_pattern_counts(network):
    freeze(network, TrainTable(freeze=("stem",)))
    settings = TrainTable(rates={"body": 0.1, "body.1": 0.5})
    others = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    optimizer = build_optimizer(network, others, settings, rate=2.0)
    set_rate(optimizer, 4.0)
    found = {
        group["lr"]: {parameter.numel() for parameter in group["params"]}
        for group in optimizer.param_groups
    }
    # The convolution of the body; its normalization; the head and what learns along.
    assert found == {0.4: {144, 4}, 2.0: {4}, 4.0: {8, 2, 4}}
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    assert count == 8


def test_a_rate_for_no_module_is_refused(network):
    with pytest.raises(RecipeError, match=r"^train\.rates") as fault:
        build_optimizer(network, NOTHING, TrainTable(rates={"boddy*": 0.1}), rate=1.0)
    assert str(fault.value) == (
        "train.rates.boddy*: must match a module of the network, got 'boddy*'; did you mean "
        "'body*'?"
    )


@pytest.mark.parametrize(
    ("settings", "kind", "options"),
    [
        (
            {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
            torch.optim.SGD,
            {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
        ),
        ({"optimizer": "adam", "weight_decay": 0.2}, torch.optim.Adam, {"weight_decay": 0.2}),
        ({"optimizer": "adamw", "weight_decay": 0.3}, torch.optim.AdamW, {"weight_decay": 0.3}),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_an_optimizer_steps_as_that_of_torch(settings, kind, options):
    ours = torch.nn.Linear(3, 2)
    theirs = deepcopy(ours)
    optimizers = (
        build_optimizer(ours, NOTHING, TrainTable(**settings), rate=0.05),
        kind(theirs.parameters(), lr=0.05, **options),
    )
    for _ in range(3):
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            network(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_an_optimizer_that_was_kept_goes_on_as_if_it_had_never_stopped(name):
    def steps(network, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            network(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()

    settings = TrainTable(optimizer=name)
    torch.manual_seed(0)
    straight = torch.nn.Linear(3, 2)
    stopped = deepcopy(straight)
    steps(straight, build_optimizer(straight, NOTHING, settings, rate=0.1), 4)
    first = build_optimizer(stopped, NOTHING, settings, rate=0.1)
    steps(stopped, first, 2)
    second = build_optimizer(stopped, NOTHING, settings, rate=0.1)
    restore_optimizer(second, *optimizer_state(first))
    steps(stopped, second, 2)
    assert torch.equal(straight.weight, stopped.weight)
