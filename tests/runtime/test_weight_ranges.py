"""Full and reduced weights side by side: the device leaves out what would be wrong on it."""

from msgspec.structs import replace

import edgeprep


def both(manifest):
    """The variant of `manifest` twice: once with full weights, once with reduced ones."""
    (one,) = manifest.variants
    variants = []
    for weight_range in ("full", "reduced"):
        name = f"fake-int8-{weight_range}"
        variants.append(
            replace(
                one,
                name=name,
                precision="int8",
                weight_range=weight_range,
                files=(f"variants/{name}/model.fake",),
                size_bytes=len(name),
                golden_outputs=(f"golden/{name}/0.bin",),
            )
        )
    return replace(manifest, variants=tuple(variants))


def outcomes(session):
    return {one.candidate.variant: one for one in session.outcomes}


def test_what_would_saturate_is_left_out_with_the_reason(fakes, manifest, write):
    class Saturating(fakes.Right):
        name = "saturating"

        def refuse(self, device, precision, weight_range):
            return f"{precision} {weight_range} saturates" if weight_range == "full" else None

    path = write(both(manifest))
    with edgeprep.open(path, registry=fakes.registry(Saturating)) as session:
        found = outcomes(session)
    assert found["fake-int8-reduced"].verdict == "chosen"
    assert found["fake-int8-full"].verdict == "excluded"
    assert found["fake-int8-full"].reason == "int8 full saturates"
    assert fakes.Right.loaded.count("fake-int8-full") == 0


def test_elsewhere_both_are_measured(fakes, manifest, write):
    with edgeprep.open(write(both(manifest)), registry=fakes.registry(fakes.Right)) as session:
        verdicts = {one.verdict for one in session.outcomes}
    assert verdicts <= {"chosen", "slower"}
    assert "chosen" in verdicts
