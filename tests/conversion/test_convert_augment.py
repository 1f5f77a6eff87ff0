"""`[[augment]]` is checked by a conversion and done by none."""

import numpy as np
import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.errors import RecipeError

AUGMENT = """
[[augment]]
use = "random-crop"
size = [10, 10]
[[augment]]
use = "random-noise"
sigma = 90
"""


def test_pictures_that_vary_leave_no_trace_in_a_bundle(project, output, registry):
    plain = edgeprep.convert(project(), output, registry=registry)
    golden = open_bundle(output).golden(plain.manifest.variants[0])
    varied = edgeprep.convert(project(more=AUGMENT), output, registry=registry, overwrite=True)
    assert varied.manifest.chain == plain.manifest.chain
    assert varied.to_json()["source"] == plain.to_json()["source"]
    again = open_bundle(output).golden(varied.manifest.variants[0])
    np.testing.assert_array_equal(again.input, golden.input)
    np.testing.assert_array_equal(again.source_outputs[0], golden.source_outputs[0])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            '[[augment]]\nuse = "random-rotate"',
            "augment[0].degrees: required key is missing",
        ),
        (
            '[[preprocess]]\nuse = "random-flip"',
            (
                "preprocess[2].use: must be a stage that every picture goes through alike, got "
                "'random-flip', which varies pictures for training and is never exported; "
                "put it under [[augment]]"
            ),
        ),
    ],
)
def test_a_fault_in_it_is_found_before_any_work(project, output, registry, more, message):
    with pytest.raises(RecipeError) as caught:  # noqa: PT011 -- the whole message is compared
        edgeprep.convert(project(more=more), output, registry=registry)
    assert str(caught.value) == message
    assert not output.exists()
