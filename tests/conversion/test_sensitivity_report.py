"""What `edgeprep sensitivity` looks at."""

from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import edgeprep
from edgeprep.conversion.sensitivity import SensitivityReport, _spread, analyze
from edgeprep.data import Prepared
from edgeprep.errors import RecipeError
from edgeprep.hookspecs import hookimpl
from edgeprep.interfaces import Pass
from edgeprep.recipe import QuantizeTable, load_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(Pass):
    """Looks at what the recipe says of quantizing, as fine-tuning under simulated int8 does."""

    name: ClassVar[str] = "looking"
    seen: ClassVar[list] = []

    def apply(self, network, bench):
        policy = bench.source.quantization
        self.seen.append((policy.calibrator, policy.weight_range, bench.source.keep_float))
        return network


def test_the_network_is_looked_at_as_its_compression_leaves_it(project, registry):
    plain = load_recipe(project())
    halved = load_recipe(project(more='[[compress]]\nuse = "halve"'))
    before, after = (analyze(one, registry=registry) for one in (plain, halved))
    assert {layer.path for layer in after.layers} == {layer.path for layer in before.layers}
    assert after.snr_db != before.snr_db


def test_a_pass_looks_at_what_it_does_in_a_conversion_and_is_done_once_for_both(
    project, output, registry, fake
):
    registry.register("looking", SimpleNamespace(edgeprep_passes=hookimpl(lambda: [Looking])))
    Looking.seen.clear()
    quantize = '[quantize]\ncalibrator = "mse"\nweight_range = "full"\nkeep_float = ["head"]'
    path = project(more=f'[[compress]]\nuse = "looking"\n{quantize}')
    analyze(load_recipe(path), registry=registry)
    assert Looking.seen == [("mse", "full", ("network.head",))]
    edgeprep.convert(path, output, registry=registry)
    assert len(Looking.seen) == 1


def test_a_network_at_chance_is_warned_of(project, registry):
    path = project()
    model = path.parent / "model.py"
    model.write_text(model.read_text().replace("Net(classes)\n", "wrong(Net(classes))\n"))
    with model.open("a") as file:
        file.write(
            "\n\ndef wrong(net):\n    net.head.weight.data = net.head.weight.data.roll(1, 0)\n"
            "    return net\n"
        )
    told = []

    @contextmanager
    def progress(title):
        yield lambda text: told.append((title, text))

    analyze(load_recipe(path), registry=registry, progress=progress)
    assert ("score the network", "accuracy 0.0000 on 24 samples") in told
    warning = (
        "model: the network scores accuracy 0.0000, no better than always answering 'red', which "
        "scores 0.3333; are its weights loaded, and task.labels in the order of its outputs?"
    )
    assert ("warning", warning) in told


def test_reduced_weights_cost_more(project, registry):
    recipes = [
        load_recipe(project(more=f'[quantize]\nweight_range = "{name}"'))
        for name in ("full", "reduced")
    ]
    model = recipes[0].directory / "model.py"
    # Weights that are on no grid.
    uneven = "torch.eye(classes, 3) + 0.013 * torch.arange(9.0).reshape(3, 3)"
    model.write_text(model.read_text().replace("torch.eye(classes, 3)", f"({uneven})"))
    full, reduced = (analyze(recipe, registry=registry) for recipe in recipes)
    assert reduced.snr_db < full.snr_db


def test_a_pattern_of_the_recipe_that_matches_nothing_is_refused(project, registry):
    recipe = load_recipe(project(more='[quantize]\nkeep_float = ["haed"]'))
    message = (
        r"^quantize\.keep_float\[0\]: must match a module of the network, got 'haed'; "
        r"did you mean 'head'\?$"
    )
    with pytest.raises(RecipeError, match=message):
        analyze(recipe, registry=registry)


def test_a_block_lists_what_is_kept():
    report = SensitivityReport(
        layers=(),
        samples=1,
        snr_db=3.0,
        keep_float=("head", "features.*"),
        kept_snr_db=30.0,
        threshold_db=20.0,
    )
    assert report.block == '[quantize]\nkeep_float = [\n    "head",\n    "features.*",\n]'


def test_a_block_is_the_whole_table():
    report = SensitivityReport(
        layers=(),
        samples=1,
        snr_db=3.0,
        keep_float=("stem", "head"),
        kept_snr_db=30.0,
        threshold_db=20.0,
        quantize=QuantizeTable(calibrator="percentile", percentile=99.9, keep_float=("stem",)),
    )
    assert report.block == (
        '[quantize]\ncalibrator = "percentile"\npercentile = 99.9\n'
        'keep_float = [\n    "stem",\n    "head",\n]'
    )


def test_samples_that_are_taken_out_keep_their_own_digests():
    inputs = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    digests = (b"0", b"1", b"2", b"3", b"4")
    taken = _spread(Prepared(inputs=inputs, labels=(0, 1, 2, 3, 4), skipped=(), digests=digests), 3)
    assert (taken.labels, taken.digests) == ((0, 2, 4), (b"0", b"2", b"4"))
    assert taken.inputs.ravel().tolist() == [0, 2, 4]
