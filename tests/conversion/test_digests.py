"""Digests of what results depend on."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from edgeprep.conversion.digests import (
    digest_chain,
    digest_code,
    digest_data,
    digest_model,
    digest_network,
)
from edgeprep.interfaces import FileStage
from edgeprep.recipe import load_recipe
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in a namespace, whose class does its work in a module that is imported late."""
    place = tmp_path / "acme_space" / "passes"
    (place / "deep").mkdir(parents=True)
    (place / "__init__.py").write_text("class Light:\n    pass\n")
    (place / "deep" / "_heavy.py").write_text("WORK = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield place
    for name in [name for name in sys.modules if name.startswith("acme_space")]:
        del sys.modules[name]


def test_code_is_all_of_a_package_and_nothing_of_its_namespace(package: Path) -> None:
    light = import_module("acme_space.passes").Light
    before = digest_code([light])
    (package.parent / "other.py").write_text("")
    assert digest_code([light]) == before
    (package / "deep" / "_heavy.py").write_text("WORK = 2\n")
    assert digest_code([light]) != before


def test_code_of_a_module_without_a_package_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_alone.py").write_text("class Light:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    light = import_module("acme_alone").Light
    before = digest_code([light])
    (tmp_path / "beside.py").write_text("")
    assert digest_code([light]) == before
    (tmp_path / "acme_alone.py").write_text("class Light:\n    more = 1\n")
    assert digest_code([light]) != before


@dataclass(frozen=True, kw_only=True)
class Seen(FileStage):
    """Looks at a file."""

    name: ClassVar[str] = "seen"
    file: ClassVar[str] = "path"

    path: str
    _content: bytes = field(default=b"", init=False, repr=False)

    @property
    def content(self) -> bytes:
        return self._content

    def opened(self, content: bytes, registry: Any) -> "Seen":
        stage = replace(self)
        object.__setattr__(stage, "_content", content)
        return stage

    def output(self, image: ImageSpec) -> ImageSpec:
        return image

    def apply(self, F: Any, x: Any, image: ImageSpec) -> Any:
        return x


def test_a_chain_is_another_one_when_a_file_of_a_stage_is() -> None:
    def of(content: bytes) -> str:
        stage = Seen(path="flat.bin").opened(content, None)
        return digest_chain(Chain(input=ImageSpec(), stages=(stage,)))

    assert of(b"white") == of(b"white")
    assert of(b"white") != of(b"black")


def test_a_network_is_another_one_by_what_it_does_not_save() -> None:
    def of(value: float) -> str:
        network = torch.nn.Linear(1, 1, bias=False)
        network.weight.data.fill_(1.0)
        network.register_buffer("scale", torch.tensor(value), persistent=False)
        return digest_network(network)

    assert of(1.0) == of(1.0)
    assert of(1.0) != of(2.0)


def test_code_beside_a_recipe_is_that_in_packages_too_and_not_that_of_environments(
    project: Any,
) -> None:
    recipe = load_recipe(project())

    def of(path: str) -> str:
        file = recipe.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"WORK = {path!r}\n")
        return digest_data(recipe)

    before = digest_data(recipe)
    (recipe.directory / "venv").mkdir()
    (recipe.directory / "venv" / "pyvenv.cfg").write_text("")
    assert {of("venv/lib/site.py"), of(".hidden/a.py"), of("net/__pycache__/a.py")} == {before}
    assert of("net/blocks.py") != before


def test_code_in_folders_that_the_recipes_own_names_is_looked_at(project: Any) -> None:
    recipe = load_recipe(project())
    home = recipe.directory.resolve().parent

    def of(folder: str, content: str) -> str:
        (home / folder).mkdir(exist_ok=True)
        (home / folder / "data.py").write_text(content)
        return digest_data(recipe)

    before = digest_data(recipe)
    assert of("digits", "SHARE = 0.2\n") == before
    # As the zoo does: `load_module("data", HERE.parent / "digits", "data")`.
    (recipe.directory / "shared.py").write_text('DIGITS = HERE.parent / "digits"\n')
    named = digest_data(recipe)
    assert named != before
    assert of("digits", "SHARE = 0.2\n") == named
    assert of("digits", "SHARE = 0.5\n") != named
    # What that one names counts, too, and what names it does not count twice.
    chained = of("digits", 'OTHER = "../pictures/more"\n')
    assert of("pictures", "DIGITS = 'digits'\n") != chained
    both = digest_data(recipe)
    assert of("unnamed", "SHARE = 0.2\n") == both
    assert of("pictures", "DIGITS = 'digits'; MORE = 1\n") != both


@pytest.mark.parametrize("table", ["model", "data"])
def test_an_installed_factory_is_its_whole_package(project: Any, package: Path, table: str) -> None:
    path = project()
    installed = {"model": ("model:build", digest_model), "data": ("data:pictures", digest_data)}
    beside, of = installed[table]
    path.write_text(path.read_text().replace(beside, "acme_space.passes:Light"))
    recipe = load_recipe(path)
    before = of(recipe)
    assert of(recipe) == before
    (package / "deep" / "_heavy.py").write_text("WORK = 2\n")
    assert of(recipe) != before
