"""Which weight ranges a recipe packs; and calibration pictures that a conversion tells of."""

from contextlib import contextmanager

import pytest

from edgeprep.conversion import convert
from edgeprep.data import WARNING
from edgeprep.errors import DataError, RecipeError

BOTH = '[quantize]\nweight_range = "both"'
DARK = """
def dark(count=24, size=12):
    for picture, _ in pictures(count, size):
        yield picture // 8


def scaled(count=24, size=12):
    for picture, _ in pictures(count, size):
        yield (picture > 60).astype(np.uint8)
"""


def variants(recipe, output, registry):
    manifest = convert(recipe, output, registry=registry).manifest
    return {one.name: one.weight_range for one in manifest.variants}


def test_both_weight_ranges_make_two_variants_of_static_int8_alone(project, output, registry):
    assert variants(project(more=BOTH), output, registry) == {
        "fake-fp32": "auto",
        "fake-int8-full": "full",
        "fake-int8-reduced": "reduced",
    }


@pytest.mark.parametrize("weight_range", ["auto", "full", "reduced"])
def test_one_weight_range_makes_one_variant(project, output, registry, weight_range):
    recipe = project(more=f'[quantize]\nweight_range = "{weight_range}"')
    assert variants(recipe, output, registry)["fake-int8"] == weight_range


@pytest.mark.parametrize("weight_range", ["full", "both"])
def test_a_weight_range_that_is_wrong_on_this_machine_is_not_planned(
    project, output, registry, monkeypatch, weight_range
):
    (backend,) = registry.backends_for("fake")
    monkeypatch.setattr(
        backend,
        "refuse",
        lambda self, device, precision, weight_range: (
            "sums saturate" if (precision, weight_range) == ("int8", "full") else None
        ),
    )
    recipe = project(more=f'[quantize]\nweight_range = "{weight_range}"')
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        convert(recipe, output, registry=registry)
    assert str(caught.value) == (
        "quantize.weight_range: must be right on this machine, where variants are scored, got "
        "'full' for 'fake': sums saturate; choose 'auto' or 'reduced', or convert where that is "
        "not so"
    )


def with_calibration(project, name):
    recipe = project()
    recipe.write_text(
        recipe.read_text().replace(
            'calibration = { factory = "data:pictures" }',
            f'calibration = {{ factory = "data:{name}" }}',
        )
    )
    data = recipe.parent / "data.py"
    data.write_text(data.read_text() + DARK)
    return recipe


def test_far_darker_calibration_is_told_of_with_numbers(project, output, registry):
    told = []

    @contextmanager
    def progress(title):
        yield lambda text: told.append((title, text))

    recipe = with_calibration(project, "dark")
    convert(recipe, output, registry=registry, progress=progress)
    (warning,) = [text for title, text in told if title == WARNING]
    assert warning.startswith("calibration is far darker than evaluation, 8 of 255 on average")


def test_calibration_scaled_to_0_and_1_is_refused(project, output, registry):
    with pytest.raises(
        DataError, match=r"^data\.calibration: must hold pixels in 0\.\.255, got 0\.\.1 in 24"
    ):
        convert(with_calibration(project, "scaled"), output, registry=registry)


def test_calibration_pictures_of_another_size_than_a_fixed_input_are_refused(
    project, output, registry
):
    recipe = project()
    recipe.write_text(recipe.read_text().replace("[data]", "[input]\nsize = [12, 12]\n\n[data]"))
    with pytest.raises(DataError, match=r"^data\.calibration: sample \d+: .*12.*got .*13"):
        convert(recipe, output, registry=registry)
