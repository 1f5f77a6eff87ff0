"""tools/bench_tasks: what it decodes, how it compares boxes, and what it refuses."""

import subprocess
import sys
from importlib import import_module
from math import inf
from pathlib import Path

import numpy as np
import pytest

from edgeprep.bundle import Manifest, Measured, Parity, SourceRecord, Variant
from edgeprep.tasks.detect import Detection
from edgeprep.tensors import ImageSpec, TensorSpec

TOOLS = Path(__file__).parents[2] / "tools"
ZOO = TOOLS.parent / "model_zoo"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"benchmarks.tasks.{name}")


def test_all_heads_say_the_same_of_8400_candidates(script):
    decode = script("decode")
    found = {
        name.split(",")[0]: head.task.decode(head.outputs, decode.FRAME)
        for name, head in decode.HEADS.items()
    }
    yolo, maps, lists = (found[name] for name in ("YOLO", "maps of three grids", "lists"))
    assert len(decode.PRIORS.starts(*decode.SEEN)) == 8400
    assert len(yolo) >= decode.OBJECTS
    for other in (maps, lists):
        np.testing.assert_array_equal(other.classes, yolo.classes)
        np.testing.assert_allclose(other.scores, yolo.scores, atol=1e-6)
        # Distances in cells and back: pixels of the camera, with the roundings of float32.
        np.testing.assert_allclose(other.boxes, yolo.boxes, atol=1e-3)
    # Most of what the others take from the objects' scores is little.
    assert {*yolo.classes.tolist()} >= {*found["SSD"].classes.tolist()}
    assert len(found["SSD"]) >= decode.OBJECTS
    scored = found["the same as it is scored"]
    assert len(scored) == 100
    assert scored.scores[-1] < 0.25
    assert len(found["the same"]) > len(yolo)
    assert len(found["DETR"]) == 100


def test_boxes_are_compared_at_equal_scores(script):
    distances = script("engines").distances

    def ant(score, *box):
        return Detection(label="ant", index=0, score=score, box=box)

    one, near = ant(0.8, 0, 0, 9, 9), ant(0.805, 0, 0.25, 9, 9)
    assert distances([one], [near]) == [0.25, 0.25]
    assert distances([one], [near, ant(0.8, 0, 0, 9, 10)]) == [0.25, 0.25, 1.0]
    assert distances([one], [ant(0.7, 0, 0, 9, 9)]) == [inf, inf]
    assert distances([one], []) == [inf]
    assert distances([], []) == []


def bundle_manifest(metric, drops):
    """Of a network called "one", whose score is 30: a variant in float, and one for each drop."""
    some = TensorSpec(name="some", shape=(1, 3), dtype="float32")
    variants = [
        Variant(
            name=f"{kind}-{index}",
            format="onnx",
            precision=kind,
            placement="graph",
            files=(),
            size_bytes=1,
            input=some,
            outputs=(some,),
            parity=Parity(max_abs=0.0, relative=0.0, samples=1),
            metric=Measured(name=metric, value=30.0 - drop, drop=drop, samples=9),
            tolerance=0.1,
            golden_outputs=(),
        )
        for index, (kind, drop) in enumerate([("fp32", 9.0), *(("int8", each) for each in drops)])
    ]
    return Manifest(
        name="one",
        created_with={},
        recipe_sha256="",
        task={},
        input=ImageSpec(),
        chain=(),
        source=SourceRecord(metric=metric, value=30.0, samples=9),
        variants=tuple(variants),
        golden=(),
    )


def test_networks_of_the_zoo_are_held_to_their_rivals_and_to_what_int8_may_lose(script):
    zoo = script("zoo")
    aim = zoo.Aim(drop=0.3, above={"noisy": 3.0, "means": 0.0})
    rivals = {"noisy": 26.9, "means, h=2": 30.1}
    first, second, worst = zoo.figures_of(bundle_manifest("psnr", [0.1, 0.31]), aim, rivals)
    assert (first.name, first.value, first.limit) == ("one: psnr, against noisy", 30.0, 29.9)
    assert first.met
    assert (second.name, second.limit) == ("one: psnr, against means, h=2", 30.1)
    assert not second.met
    assert (worst.name, worst.value, worst.met) == (
        "one: worst drop of 2 INT8 variants",
        0.31,
        False,
    )


def test_networks_of_the_zoo_are_held_to_a_least_score(script):
    zoo = script("zoo")
    score, worst = zoo.figures_of(bundle_manifest("ap50", [0.0, 0.01]), zoo.Aim(least=30.0), {})
    assert (score.name, score.met) == ("one: ap50", True)
    assert worst.met


def test_every_network_of_the_zoo_that_is_measured_has_a_recipe(script):
    assert {*script("zoo").AIMS} <= {path.parent.name for path in ZOO.glob("*/recipe.toml")}


def test_an_unknown_name_is_refused():
    command = [sys.executable, TOOLS / "bench_tasks", "decoed"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "bench_tasks: error: NAME: must be one of decode, engines, zoo, got 'decoed'"
    )
