"""What `edgeprep sensitivity` looks at."""

import pytest

from edgeprep.conversion.sensitivity import SensitivityReport, analyze
from edgeprep.errors import RecipeError
from edgeprep.recipe import load_recipe


def test_the_network_is_looked_at_as_its_compression_leaves_it(project, registry):
    plain = load_recipe(project())
    halved = load_recipe(project(more='[[compress]]\nuse = "halve"'))
    before, after = (analyze(one, registry=registry) for one in (plain, halved))
    assert {layer.path for layer in after.layers} == {layer.path for layer in before.layers}
    assert after.snr_db != before.snr_db


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
