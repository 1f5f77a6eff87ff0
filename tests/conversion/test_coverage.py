"""Ranges of a recipe's variants, against its calibration and evaluation data."""

import pytest

from edgeprep.conversion.coverage import collect_coverage, describe_coverage
from edgeprep.interfaces import RangeCoverage, RangeUse
from edgeprep.recipe import load_recipe
from edgeprep.registry import default_registry

pytestmark = pytest.mark.filterwarnings(
    # torch.export copies tree specs the way that torch itself has deprecated.
    "ignore:.isinstance.treespec, LeafSpec:FutureWarning",
)


def test_every_calibrated_variant_has_its_ranges(project):
    target = '[[target]]\nformat = "onnx"\nprecision = ["fp32", "int8", "int8-dynamic"]'
    found = collect_coverage(load_recipe(project(target=target)), registry=default_registry())
    assert list(found) == ["onnx-int8"]
    taken = found["onnx-int8"][0]
    assert taken.tensor == "preprocessed"
    # The same pictures: what was seen for calibration is seen in evaluation.
    assert taken.evaluation.low == pytest.approx(taken.calibration.low, abs=1e-5)
    assert {one.module for one in found["onnx-int8"]} >= {"features.0"}


def test_without_evaluation_data_only_calibration_is_told_of(project):
    target = '[[target]]\nformat = "onnx"\nprecision = ["int8"]'
    recipe = load_recipe(project(target=target, data=""))
    found = collect_coverage(recipe, registry=default_registry())
    assert {one.evaluation for one in found["onnx-int8"]} == {None}


def test_the_table_has_a_line_an_activation():
    use = RangeUse(low=-1.0, high=9.5, clipped=0.001, saturated=0.0025)
    one = RangeCoverage(tensor="add", module="", low=-1.0, high=8.0, calibration=use)
    other = RangeCoverage(
        tensor="relu", module="stem.2", low=0.0, high=6.0, calibration=use, evaluation=use
    )
    _, first, second = describe_coverage((one, other)).splitlines()
    numbers = ["-1", "to", "9.5", "0.100%"]
    assert first.split() == ["add", "-1", "to", "8", *numbers, "0.250%"]
    assert second.split() == ["stem.2", "0", "to", "6", *numbers, "0.250%", *numbers]
