"""Bundles of networks that remember."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from edgeprep.bundle import Bundle, Manifest, read_bundle
from edgeprep.bundle.write import pack
from edgeprep.errors import BundleFormatError
from edgeprep.tensors import ImageSpec, TensorSpec

HIDDEN = TensorSpec(name="hidden", shape=(1, 2), dtype="float32")
NEXT = replace(HIDDEN, name="next_hidden")
STATES = np.arange(4, dtype="<f4").reshape(2, 2)


@pytest.fixture
def stateful(manifest: Manifest) -> Manifest:
    """The small bundle, of a network with one state."""
    repeated = (2, 2)
    (golden,) = manifest.golden
    return replace(
        manifest,
        variants=tuple(
            replace(
                variant,
                states=(HIDDEN,),
                outputs=(*variant.outputs, NEXT),
                golden_outputs=(*variant.golden_outputs, "golden/states"),
            )
            for variant in manifest.variants
        ),
        golden=(
            replace(
                golden,
                states=(replace(HIDDEN, shape=repeated),),
                state_members=("golden/states",),
                outputs=(*golden.outputs, replace(NEXT, shape=repeated)),
                output_members=(*golden.output_members, "golden/states"),
            ),
        ),
    )


@pytest.fixture
def reopen(members: dict[str, bytes]) -> Callable[[Manifest], Bundle]:
    def reopen(manifest: Manifest) -> Bundle:
        import io

        content = b"".join(
            pack(manifest, {**members, "golden/states": STATES.tobytes()}, "x.edgeprep")
        )
        return read_bundle(io.BytesIO(content), "x.edgeprep")

    return reopen


def test_golden_samples_come_with_their_states(
    stateful: Manifest, reopen: Callable[[Manifest], Bundle]
) -> None:
    bundle = reopen(stateful)
    golden = bundle.golden(bundle.variant("onnx-fp32"))
    assert golden.count == 2
    picture, hidden = golden.feed(1)
    assert picture.shape == (1, 4, 4, 3)
    np.testing.assert_array_equal(hidden, STATES[1:], strict=True)
    assert [output.shape for output in golden.expected(1)] == [(1, 3), (1, 2)]


def test_a_clip_is_one_sample(manifest: Manifest, reopen: Callable[[Manifest], Bundle]) -> None:
    (golden,) = manifest.golden
    one = tuple(replace(spec, shape=(1, *spec.shape[1:])) for spec in golden.outputs)
    clip = replace(manifest.variants[0].input, shape=(2, 4, 4, 3))
    outputs = tuple(replace(spec, shape=(2, *spec.shape[1:])) for spec in one)
    bundle = reopen(
        replace(
            manifest,
            input=replace(manifest.input, batch=2),
            variants=tuple(
                replace(variant, input=clip, outputs=outputs) for variant in manifest.variants
            ),
        )
    )
    golden_samples = bundle.golden(bundle.variant("onnx-fp32"))
    assert golden_samples.count == 1
    assert golden_samples.feed(0)[0].shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"states": (replace(HIDDEN, dtype="float16"),)},
            (
                "variants[0].states: must make golden arrays of 'hidden: float32 (2, 2)', got "
                "'hidden: float16 (2, 2)'"
            ),
        ),
        ({"states": ()}, "variants[0].states: must be 1, got 0"),
    ],
    ids=["type", "missing"],
)
def test_states_that_do_not_fit_are_refused(
    change: dict[str, object],
    message: str,
    stateful: Manifest,
    reopen: Callable[[Manifest], Bundle],
) -> None:
    first, *rest = stateful.variants
    with pytest.raises(BundleFormatError, match=f"^{re.escape(f'x.edgeprep: {message}')}$"):
        reopen(replace(stateful, variants=(replace(first, **change), *rest)))


def test_a_state_must_come_back(stateful: Manifest, reopen: Callable[[Manifest], Bundle]) -> None:
    # Both arrays are 16 bytes, but the new state has another shape.
    flat = TensorSpec(name="next_hidden", shape=(1, 1, 2), dtype="float32")
    (golden,) = stateful.golden
    changed = replace(
        stateful,
        variants=tuple(
            replace(variant, outputs=(variant.outputs[0], flat)) for variant in stateful.variants
        ),
        golden=(replace(golden, outputs=(golden.outputs[0], replace(flat, shape=(2, 1, 2)))),),
    )
    message = (
        "x.edgeprep: variants[0].states: 'hidden' must be float32, and come back as output "
        "'next_hidden', got 'next_hidden: float32 (1, 1, 2)'"
    )
    with pytest.raises(BundleFormatError, match=f"^{re.escape(message)}$"):
        reopen(changed)


@pytest.mark.parametrize("frames", [0, 1025])
def test_a_clip_has_a_number_of_frames_that_fits_memory(
    frames: int, manifest: Manifest, reopen: Callable[[Manifest], Bundle]
) -> None:
    message = f"x.edgeprep: input.batch: must be 1 to 1024 frames, got {frames}"
    with pytest.raises(BundleFormatError, match=f"^{re.escape(message)}$"):
        reopen(replace(manifest, input=ImageSpec(height=4, width=4, batch=frames)))
