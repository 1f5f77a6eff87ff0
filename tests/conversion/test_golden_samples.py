"""Which samples become golden ones, and how closely a device must reproduce them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion.ground import least_decided
from edgeprep.data import load_factory
from edgeprep.registry import Registry
from edgeprep.tasks.classify import Classify
from edgeprep.tasks.embed import Embed

Project = Callable[..., Path]

THREE = Classify(labels=("ant", "bee", "cow"))


def outputs(*rows: tuple[float, ...]) -> list[tuple[np.ndarray]]:
    return [(np.array([row], np.float32),) for row in rows]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((1.0, 4.0, 3.0), 0.25),  # (4 - 3) / 4
        ((-8.0, 1.0, 3.0), 0.25),  # (3 - 1) / 8: the largest number is what others count beside
        ((2.0, 2.0, 0.0), 0.0),
        ((0.0, 0.0, 0.0), 0.0),
    ],
)
def test_a_class_is_as_decided_as_it_is_ahead_of_the_next(
    row: tuple[float, ...], expected: float
) -> None:
    assert THREE.decided(outputs(row)[0]) == pytest.approx(expected)


def test_the_least_decided_samples_come_first_and_of_equal_ones_the_first() -> None:
    rows = [(9.0, 9.0 - ahead, 0.0) for ahead in (5, 1, 7, 1, 3, 8, 2, 6, 4)]
    assert least_decided(THREE, outputs(*rows)) == (1, 3, 6, 4, 8, 0)


def test_a_task_without_choices_has_none() -> None:
    assert Embed().decided(outputs((1.0, 2.0))[0]) is None
    assert least_decided(Embed(), outputs((1.0, 2.0), (3.0, 4.0))) == ()
    assert least_decided(THREE, []) == ()


def test_a_bundle_has_the_samples_that_the_network_is_least_decided_on(
    project: Project, output: Path, registry: Registry
) -> None:
    recipe = project()
    edgeprep.convert(recipe, output, registry=registry)
    bundle = open_bundle(output)
    golden = bundle.golden(bundle.variant("fake-fp32")).source_outputs[0]
    assert len(np.unique(golden, axis=0)) == len(golden) == 8  # none of them twice
    pictures = load_factory("data:pictures", recipe.parent, "data.evaluation")()
    with edgeprep.open(output, registry=registry, prefer="fake-fp32", probe=False) as session:
        logits = np.concatenate([session.outputs(picture)[0] for picture, _ in pictures])
    ordered = np.sort(logits, axis=1)
    margins = (ordered[:, -1] - ordered[:, -2]) / np.abs(logits).max(axis=1)
    hardest = logits[np.argsort(margins)[:6]]
    # The first and the third are taken evenly.
    np.testing.assert_allclose(np.delete(golden, [0, 2], axis=0), hardest, rtol=1e-5)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(0.0, 0.01, id="as exact as the source"),
        pytest.param(0.06, 0.06, id="what int8 cost"),
        pytest.param(0.27, 0.1, id="never more than before"),
    ],
)
def test_int8_must_be_reproduced_as_closely_as_it_can_be(
    project: Project,
    output: Path,
    registry: Registry,
    fake: SimpleNamespace,
    fault: float,
    expected: float,
) -> None:
    fake.faults["int8"] = fault
    manifest = edgeprep.convert(project(), output, registry=registry).manifest
    exact, quantized = manifest.variants
    assert exact.tolerance == 1e-3
    assert quantized.parity.relative == pytest.approx(fault, abs=1e-6)
    assert quantized.tolerance == pytest.approx(expected, rel=1e-3)
