"""The ratio that measures fast enough, found with few measurements, noise or not."""

import copy
import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from edgeprep.compress._groups import Group
from edgeprep.compress._share import can_shrink, share_between, share_out
from edgeprep.compress.prune import Prune
from edgeprep.data import WARNING
from edgeprep.errors import ConvertError


def network() -> nn.Module:
    layers = [nn.Conv2d(3, 128, 1), nn.ReLU(), nn.Conv2d(128, 256, 1), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 3)]
    return nn.Sequential(*layers, *head).eval().requires_grad_(requires_grad=False)


def work(network: nn.Module) -> int:
    return network[0].out_channels * (3 + network[2].out_channels)


def measured(name: str, seed: int = 0):
    """Engines in which the time is that of the multiplications, one of them with an overhead."""
    noise = np.random.default_rng(seed)
    whole = work(network())

    def measure(pruned: nn.Module) -> dict[str, float]:
        share = work(pruned) / whole
        quick, slow = 1 / share, 1 / (0.1 + 0.9 * share)
        if name == "noisy":
            slow *= noise.uniform(0.97, 1.03)
        return {"quick": quick, "slow": slow}

    return measure


@pytest.mark.parametrize("target", [1.2, 2.0, 4.0])
def test_the_slowest_format_becomes_as_fast_as_is_asked_for(target, workbench):
    measure = measured("exact")
    bench = workbench(network(), measure=measure)
    pruned = Prune(speedup=target).apply(network(), bench)
    assert target <= measure(pruned)["slow"] < 1.25 * target
    # Searched for, found, and measured once more.
    titles = [title for title, _ in bench.told if "measure" in title]
    assert 2 <= len(titles) <= 6
    assert titles.count(titles[-1]) == 2


@pytest.mark.parametrize("seed", range(8))
def test_noise_of_three_percent_costs_a_few_measurements(seed, workbench):
    bench = workbench(network(), measure=measured("noisy", seed))
    pruned = Prune(speedup=2.0).apply(network(), bench)
    # Twice measured as fast enough: at most the noise below.
    assert measured("exact")(pruned)["slow"] >= 2.0 / 1.03
    assert sum("measure" in title for title, _ in bench.told) <= 10


def test_measurements_are_told(workbench):
    bench = workbench(network(), measure=lambda _: {"onnx": 2.05, "openvino": 3.0})
    Prune(speedup=2.0).apply(network(), bench)
    assert bench.told[1] == (
        "prune: measure ratio 0.303",
        "onnx 2.05 times, openvino 3.00 times",
    )


@pytest.mark.parametrize(("speedup", "warned"), [(1.5, True), (8.0, False)])
def test_many_parameters_for_little_speed_are_warned_of(speedup, warned, workbench):
    # Nothing is gained by less than half of the channels.
    def measure(pruned: nn.Module) -> dict[str, float]:
        return {"fake": 1.0 if work(pruned) > work(network()) / 4 else speedup}

    bench = workbench(network(), measure=measure)
    Prune(speedup=speedup).apply(network(), bench)
    warnings = [text for title, text in bench.told if title == WARNING]
    assert len(warnings) == warned
    for text in warnings:
        assert re.fullmatch(
            r"prune: speedup 1\.5 takes (7|8|9)\d% of the parameters; engines gain little by fewer "
            "channels here: ask for less, or set ratio",
            text,
        )


def test_one_lucky_measurement_is_not_believed(workbench):
    answers = iter([2.01, 1.8, 2.1, 2.05])
    bench = workbench(network(), measure=lambda _: {"fake": next(answers)})
    Prune(speedup=2.0).apply(network(), bench)
    titles = [title for title, _ in bench.told if "measure" in title]
    assert titles[0] == titles[1] != titles[2] == titles[3]


def test_what_stays_below_the_target_is_refused_with_the_best(workbench):
    bench = workbench(network(), measure=lambda pruned: {"onnx": 1.5, "tflite": 1.25})
    with pytest.raises(ConvertError, match="speedup") as caught:
        Prune(speedup=2.0).apply(network(), bench)
    assert str(caught.value) == (
        "prune: speedup must be at least 2 in every format, got at most 1.250, in 'tflite' "
        "at ratio 0.30"
    )


def test_a_network_that_becomes_slower_is_refused_after_few_measurements(workbench):
    bench = workbench(network(), measure=lambda pruned: {"onnx": 0.9})
    with pytest.raises(ConvertError, match=r"got at most 0\.900, in 'onnx' at ratio 0\.30"):
        Prune(speedup=2.0).apply(network(), bench)
    assert len(bench.told) < 12


def plain(channels: int) -> Group:
    return Group(path="a", channels=channels, size=1, layers=("a",))


def shared(group: Group, ratio: float, *, round_to: int = 8, limit: float = 1.0) -> int:
    kept = share_out(
        [group],
        ratio,
        scope="uniform",
        round_to=round_to,
        limits={"a": limit},
        ranks={},
        strict=False,
    )
    return kept["a"] * group.size


@pytest.mark.parametrize(
    ("channels", "ratio", "expected"),
    [
        (64, 0.5, 32),
        (64, 0.45, 32),  # 35.2
        (64, 0.42, 40),  # 37.12
        (64, 0.4375, 40),  # 36: as near to 32, of which the larger one counts
        (64, 0.99, 8),
        (20, 0.5, 8),  # 10
        (20, 0.3, 16),  # 14
        (20, 0.05, 20),  # 19: all of them, though 20 is no multiple
        (6, 0.9, 6),
    ],
)
def test_counts_are_the_nearest_multiple(channels, ratio, expected):
    assert shared(plain(channels), ratio) == expected


def test_without_rounding_every_count_is_possible():
    assert shared(plain(10), 0.34, round_to=1) == 7


@pytest.mark.parametrize(("limit", "expected"), [(0.3, 24), (0.25, 24), (0.05, 26), (0.0, 26)])
def test_no_rounding_breaks_a_limit(limit, expected):
    # 26 channels: 18.2, 19.5, 24.7 and 26 have to be left.
    assert shared(plain(26), 0.9, limit=limit) == expected


def test_groups_of_a_convolution_and_heads_go_as_whole_units():
    convolution = Group(path="a", channels=96, size=32, layers=("a",))
    assert shared(convolution, 0.5) == 64  # 48; of 32 and 64 the larger one
    assert convolution.indices([0, 2])[:4] == [0, 2, 3, 5]
    heads = Group(path="a", channels=48, size=12, layers=("a",), attention="b")
    assert shared(heads, 0.4) == 24  # 24 and 48 are multiples of 8 and of 12
    assert heads.indices([1]) == list(range(12, 24))
    assert not can_shrink(Group(path="a", channels=12, size=6, layers=("a",)), 8)


def test_steps_are_even_and_end_with_what_is_asked_for():
    groups = [plain(64)]
    counts = [share_between(groups, {"a": 16}, part / 3, 8)["a"] for part in (0, 1, 2, 3)]
    assert counts == [64, 48, 32, 16]


def test_a_larger_ratio_never_keeps_more():
    random = torch.Generator().manual_seed(0)
    for scope in ("uniform", "global"):
        ranks = {
            name: torch.rand(count, generator=random) for name, count in (("a", 40), ("b", 24))
        }
        groups = [Group(path=name, channels=len(ranks[name]), size=1, layers=()) for name in ranks]
        kept = [
            share_out(
                groups,
                step / 50,
                scope=scope,
                round_to=8,
                limits={},
                ranks=ranks,
                strict=False,
            )
            for step in range(50)
        ]
        assert kept[0] == {"a": 40, "b": 24}
        assert kept[-1] == {"a": 8, "b": 8}
        assert all(
            after[name] <= before[name] for before, after in pairwise(kept) for name in ranks
        )


def test_a_search_that_is_done_again_is_read_and_not_measured(workbench):
    measure = measured("exact")
    bench = workbench(network(), measure=measure)
    first = Prune(speedup=2.0).apply(network(), bench)
    bench.measure = None
    second = Prune(speedup=2.0).apply(copy.deepcopy(network()), bench)
    assert work(first) == work(second)
    assert math.isclose(measure(first)["slow"], measure(second)["slow"])


@pytest.mark.parametrize(
    "content",
    [b"", b'{"0": 6', b"\xff", b"[64]", b'{"0": 64}', b'{"0": 64.5, "2": 128}'],
    ids=["empty", "torn", "no text", "no table", "other groups", "no count"],
)
def test_what_cannot_be_read_is_searched_for_again(content, workbench):
    bench = workbench(network(), measure=measured("exact"))
    first = Prune(speedup=2.0).apply(network(), bench)
    memory = bench.storage / "kept.json"
    written = memory.read_bytes()
    memory.write_bytes(content)
    bench.told.clear()
    second = Prune(speedup=2.0).apply(network(), bench)
    assert sum("measure" in title for title, _ in bench.told) >= 2
    assert work(first) == work(second)
    assert memory.read_bytes() == written
    assert [one.name for one in bench.storage.iterdir()] == ["kept.json"]
