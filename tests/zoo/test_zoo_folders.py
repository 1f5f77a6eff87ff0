"""Every folder of the zoo: it is what its card says, and it is in the distribution edgeprep-zoo."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from edgeprep.zoo import ZooModel, zoo_models
from edgeprep.zoo.neighbours import neighbours_of
from edgeprep.zoo.verify import verify_model

ROOT = Path(__file__).resolve().parents[2]
MODELS = [model for model in zoo_models() if model.directory.parent == ROOT / "model_zoo"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_weights_and_golden_samples_are_what_the_card_says(model: ZooModel) -> None:
    # The score is compared by tools/generate_zoo --check, which tools/test runs.
    found = verify_model(model, quick=True)
    assert [(one.name, one.said) for one in found.checks if not one.passed] == []
    assert [one.name for one in found.checks] == ["files", "weights", "golden"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_recipe_is_called_as_its_folder(model: ZooModel) -> None:
    assert model.recipe.name == model.directory.name


def test_the_zoo_has_a_few_megabytes_in_all() -> None:
    files = (path for model in MODELS for path in model.directory.rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < 12_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of installed packages: edgeprep from here, and edgeprep-zoo from its wheel."""
    work = tmp_path_factory.mktemp("wheel")
    site = work / "site"
    site.mkdir()
    (site / "edgeprep").symlink_to(ROOT / "edgeprep")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", work]
    subprocess.run(command, cwd=ROOT / "model_zoo", check=True, capture_output=True)
    (wheel,) = work.glob("edgeprep_zoo-*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(site: Path, *words: str) -> list[str]:
    """What a command prints where nothing is known of this checkout."""
    # A symbolic link would be followed to the zoo beside the sources.
    code = (
        "import edgeprep.zoo.models as models, pathlib\n"
        "models._CHECKOUT = pathlib.Path('nowhere')\n"
        "from edgeprep.cli import main\n"
        "main()\n"
    )
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code, "zoo", *words],
        env=os.environ | {"PYTHONPATH": path},
        cwd=site.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.splitlines()


def test_an_installed_zoo_has_every_model_with_all_its_files(site: Path) -> None:
    _, *lines = run(site, "list")
    assert [line.split()[0] for line in lines] == [model.name for model in MODELS]
    for model in MODELS:
        for path in model.directory.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                there = site / "edgeprep_zoo" / path.relative_to(model.directory.parent)
                assert there.read_bytes() == path.read_bytes()


def test_an_installed_model_is_shown_copied_and_verified(site: Path) -> None:
    assert run(site, "show", "digits-vit")[1] == "# digits-vit"
    assert run(site, "get", "digits-vit", "-o", "got")[-1] == "got/digits-vit"
    names = [
        "digits-vit",
        *(other.name for other in neighbours_of(ZooModel(ROOT / "model_zoo/digits-vit"))),
    ]
    assert sorted(path.name for path in (site.parent / "got").iterdir()) == sorted(names)
    lines = run(site, "verify", "digits-vit", "--quick", "-q")
    assert [line.split()[2] for line in lines[1:]] == ["passed"] * 3
