"""Copies of models: whole, or not at all, with what they use beside them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.errors import OutputExists, OutputRefused, StorageError
from edgeprep.recipe import load_recipe
from edgeprep.zoo import ZooModel, copy_model, zoo_models

Plant = Callable[..., ZooModel]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def model(plant: Plant) -> ZooModel:
    return plant()


def test_a_copy_has_every_file_but_what_python_and_editors_leave(
    model: ZooModel, tmp_path: Path
) -> None:
    (model.directory / "__pycache__").mkdir()
    (model.directory / ".data.py.swp").touch()
    (model.directory / "samples").mkdir()
    (model.directory / "samples" / "one.png").write_bytes(b"png")
    copied = copy_model(model.directory, tmp_path / "new" / "work")
    assert copied.directory == tmp_path / "new" / "work" / "brightest"
    assert (copied.beside, copied.kept) == ((), ())
    kept = ["card.md", "data.py", "golden.safetensors", "model.py", "recipe.toml", "samples"]
    assert names(copied.directory) == [*kept, "weights.safetensors"]
    assert (copied.directory / "samples" / "one.png").read_bytes() == b"png"
    assert names(copied.directory.parent) == ["brightest"]


def test_a_copy_can_be_written_to_where_the_zoo_cannot(model: ZooModel, tmp_path: Path) -> None:
    for path in (*model.directory.iterdir(), model.directory):
        path.chmod(0o555 if path.is_dir() else 0o444)
    copied = copy_model(model.directory, tmp_path / "work").directory
    model.directory.chmod(0o755)
    assert copied.stat().st_mode & 0o200
    assert all(path.stat().st_mode & 0o200 for path in copied.iterdir())


def test_what_is_there_is_not_replaced_unasked(model: ZooModel, tmp_path: Path) -> None:
    mine = tmp_path / "brightest"
    mine.mkdir()
    (mine / "notes").touch()
    with pytest.raises(OutputExists, match="already exists") as error:
        copy_model(model.directory, tmp_path)
    remedy = "pass --overwrite (overwrite=True) to replace it"
    assert str(error.value) == f"{mine}: already exists; {remedy}"
    assert names(mine) == ["notes"]
    copy_model(model.directory, tmp_path, overwrite=True)
    assert "notes" not in names(mine)
    assert "recipe.toml" in names(mine)
    assert names(tmp_path) == ["brightest", "zoo"]


def test_a_link_is_replaced_and_not_followed(model: ZooModel, tmp_path: Path) -> None:
    mine, link = tmp_path / "mine", tmp_path / "brightest"
    mine.mkdir()
    (mine / "notes").touch()
    link.symlink_to(mine)
    copy_model(model.directory, tmp_path, overwrite=True)
    assert names(mine) == ["notes"]
    assert not link.is_symlink()


def test_what_it_uses_comes_along_and_is_never_replaced(
    model: ZooModel, plant: Plant, tmp_path: Path
) -> None:
    plant("teacher"), plant("data-of")
    (model.directory / "data.py").write_text('A, B = "teacher", "data-of"\n')
    work = tmp_path / "work"
    mine = work / "teacher"
    mine.mkdir(parents=True)
    copied = copy_model(model.directory, work)
    assert (copied.beside, copied.kept) == ((work / "data-of",), (mine,))
    assert names(mine) == []
    again = copy_model(model.directory, work, overwrite=True)
    assert (again.beside, again.kept) == ((), (work / "data-of", mine))
    assert again.to_json() == {
        "directory": str(work / "brightest"),
        "beside": [],
        "kept": [str(work / "data-of"), str(mine)],
    }


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interrupt_leaves_what_was_there(
    model: ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    work = tmp_path / "work"
    if overwrite:
        (work / "brightest").mkdir(parents=True)
        (work / "brightest" / "notes").touch()

    def stop(source: Any, target: Any, **_: Any) -> None:
        if str(source).endswith("model.py"):
            raise KeyboardInterrupt
        Path(target).touch()

    monkeypatch.setattr(shutil, "copyfile", stop)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        copy_model(model.directory, work, overwrite=overwrite)
    assert names(work) == (["brightest"] if overwrite else [])
    if overwrite:
        assert names(work / "brightest") == ["notes"]


def test_a_fault_at_the_last_step_puts_back_what_was_there(
    model: ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "brightest"
    mine.mkdir()
    (mine / "notes").touch()
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StorageError, match="No space") as error:
        copy_model(model.directory, tmp_path, overwrite=True)
    assert str(error.value) == f"{mine}: must be written, got 'No space left on device'"
    assert names(mine) == ["notes"]
    assert names(tmp_path) == ["brightest", "zoo"]


def test_a_full_disk_is_told_with_the_file(
    model: ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Any, target: Any, **_: Any) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match="No space left") as error:
        copy_model(model.directory, tmp_path)
    assert ": must be written, got " in str(error.value)
    assert names(tmp_path) == ["zoo"]


def test_a_file_is_no_directory_to_copy_into(model: ZooModel, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OutputRefused, match="directory") as error:
        copy_model(model.directory, path)
    assert str(error.value) == f"{path}: must be a directory, got a file"


def test_a_model_is_not_copied_over_itself(model: ZooModel) -> None:
    with pytest.raises(OutputRefused, match="another folder") as error:
        copy_model(model.directory, model.directory.parent, overwrite=True)
    rule = "must be another folder than what is copied, got it"
    assert str(error.value) == f"{model.directory}: {rule}"
    assert "recipe.toml" in names(model.directory)


@pytest.mark.parametrize("model", zoo_models(), ids=lambda model: model.name)
def test_a_copy_of_a_model_of_the_zoo_has_all_that_its_data_import(
    model: ZooModel, tmp_path: Path
) -> None:
    from edgeprep.data import build_reader

    copied = copy_model(model.name, tmp_path)
    recipe = load_recipe(copied.directory / "recipe.toml")
    reader = build_reader(recipe.data.evaluation or {}, "data.evaluation")
    samples = reader.open(directory=recipe.directory, where="data.evaluation")
    picture, truth = next(iter(samples))
    assert picture.size
    assert truth is not None
