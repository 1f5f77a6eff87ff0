"""What a conversion writes down of its pictures and of what the network finds in them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec import UNSET

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.monitor.statistics import look
from edgeprep.registry import Registry

Project = Callable[..., Path]


def test_a_bundle_says_what_its_calibration_was_like_and_which_classes_were_found(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    edgeprep.convert(project(), output, registry=registry)
    (reference,) = open_bundle(output).manifest.references
    assert (reference.placement, reference.pictures) == ("split", 24)
    # The network is right by construction, and there are as many pictures of each class.
    assert reference.classes == (8, 8, 8)
    # What the graph takes of them is what quantizers were given.
    seen = np.array([look(each, "rgb") for each in fake.sources["fp32"].calibration])
    spread = reference.features["brightness"]
    assert spread.mean == pytest.approx(seen[:, 0].mean(), abs=1e-6)
    assert spread.middle == pytest.approx(np.median(seen[:, 0]), abs=1e-6)


def test_every_placement_has_a_reference_of_its_own(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    recipe = project()
    text = recipe.read_text()
    data = recipe.parent / "data.py"
    data.write_text(data.read_text().replace("size + index // 3 % 3", "size"))
    recipe.write_text(f'placement = "auto"\n{text}\n[input]\nsize = [12, 12]\n')
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    placements = {variant.placement for variant in manifest.variants}
    assert {reference.placement for reference in manifest.references} == placements
    assert len(placements) == 2


def test_fewer_than_sixteen_pictures_are_no_reference(
    project: Project, output: Path, registry: Registry, fake: SimpleNamespace
) -> None:
    recipe = project()
    data = recipe.parent / "data.py"
    data.write_text(data.read_text().replace("count=24", "count=15"))
    manifest = edgeprep.convert(recipe, output, registry=registry).manifest
    assert manifest.references is UNSET
