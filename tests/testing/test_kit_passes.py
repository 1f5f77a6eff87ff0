"""The kit on passes: the built-ins pass, on its workbench, which is real."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from edgeprep.compress.distil import Distil, Hint, TeacherFactory
from edgeprep.compress.prune import Prune
from edgeprep.compress.quantization_aware import QuantizationAware
from edgeprep.compress.sparsify import Sparsify
from edgeprep.interfaces import Pass
from edgeprep.registry import Registry
from edgeprep.testing import check_pass, small_workbench

TEACHER = TeacherFactory(factory="edgeprep.testing._residual:residual_network")

BUILT_INS = [
    Prune(ratio=0.5),
    Prune(ratio=0.5, steps=2, epochs=1, importance="taylor", limits={"hidden": 0.25}),
    Prune(speedup=1.2, scope="global", importance="bn-scale"),
    Sparsify(ratio=0.5, epochs=1),
    Sparsify(n=2, m=4),
    QuantizationAware(epochs=2),
    QuantizationAware(epochs=1, learn_from="itself", keep_float=("head",)),
    Distil(teacher=TEACHER, epochs=1),
    Distil(
        teacher=TEACHER,
        epochs=1,
        start="scratch",
        width=0.5,
        depth=0.5,
        hints=(Hint(student="stem", teacher="stem"),),
    ),
]


@pytest.mark.parametrize("pass_", BUILT_INS, ids=repr)
def test_built_in_passes_conform(pass_):
    check_pass(pass_)


def test_every_built_in_pass_is_checked():
    assert {type(pass_) for pass_ in BUILT_INS} == {*Registry(installed=False).classes("pass")}


class Dropping(nn.Sequential):
    """Draws at random while it learns."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 16, 3),
            nn.ReLU(),
            nn.Dropout(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 3),
        )


def test_another_network_can_be_compressed_and_stays_as_it_is():
    network = Dropping()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_pass(Prune(ratio=0.5, epochs=1), network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_files_are_read_from_the_directory_of_the_recipe(tmp_path):
    (tmp_path / "wise.py").write_text(
        "from edgeprep.testing._residual import residual_network as build\n"
    )
    network = Dropping()
    (tmp_path / "unread.txt").write_text("as it was")
    check_pass(
        Distil(teacher=TeacherFactory(factory="wise:build"), epochs=1), network, directory=tmp_path
    )
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"wise.py", "unread.txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn(Pass):
    name: ClassVar[str] = "learn"

    epochs: int = 8

    def apply(self, network, bench):
        return bench.fine_tune(network, name="all", epochs=self.epochs)


def test_networks_learn_on_the_small_workbench(tmp_path):
    torch.manual_seed(0)
    network = Dropping().eval()
    bench = small_workbench(network, tmp_path)
    before = bench.score(network)
    learned = Learn(epochs=30).apply(network, bench)
    assert before < 0.6
    assert bench.score(learned) > 0.9
    assert list(bench.speedups(nn.Linear(1, 1)).values()) == [(3 * 16 * 9 + 16 + 16 * 3 + 3) / 2]
    assert [labels.tolist() for _, labels in bench.batches(18)] == [[0, 1, 2] * 5 + [0], [1, 2]]
    assert bench.storage == tmp_path / "storage"


def test_a_training_alone_is_a_pass():
    check_pass(Learn(epochs=1))
