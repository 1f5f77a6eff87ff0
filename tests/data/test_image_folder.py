from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeprep.data import ImageFolder, Samples
from edgeprep.errors import DataError
from edgeprep.tasks.classify import Classify

WHERE = "data.evaluation"


def write(path: Path, level: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (3, 2), (level, level, level) if mode == "RGB" else level).save(path, "PNG")


def read(root: Path, **keys: object) -> list[tuple[int, int | None]]:
    """The first level and the label of each picture below `root`."""
    labels = keys.pop("labels", None)
    samples = ImageFolder(path=root.name, **keys).open(  # type: ignore[arg-type]
        directory=root.parent,
        where=WHERE,
        task=Classify(labels=labels) if labels else None,  # type: ignore[arg-type]
    )
    return [(int(picture[0, 0, 0]), label) for picture, label in samples]


def refuse(root: Path, *labels: str) -> str:
    with pytest.raises(DataError, match=r"^data\.evaluation") as caught:
        read(root, labels=labels or None)
    return str(caught.value)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for number in range(4):
        write(tmp_path / "animals" / "cat" / f"{number}.png", 10 + number)
        write(tmp_path / "animals" / "ant" / "far" / f"{number}.png", 20 + number)
    write(tmp_path / "animals" / "cat" / "4.png", 14)
    return tmp_path / "animals"


def test_pictures_of_a_flat_directory_come_by_name_without_labels(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 2)
    write(tmp_path / "a.png", 1)
    assert read(tmp_path) == [(1, None), (2, None)]


def test_class_directories_are_labels_in_their_order(animals: Path) -> None:
    assert read(animals)[:5] == [(20, 0), (21, 0), (22, 0), (23, 0), (10, 1)]


def test_labels_of_the_task_set_the_order(animals: Path) -> None:
    found = read(animals, labels=("cat", "ant"))
    assert found[0] == (10, 0)
    assert found[-1] == (23, 1)


def test_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    write(tmp_path / "a.JPG", 1)
    write(tmp_path / "b.Bmp", 2, "L")
    assert read(tmp_path) == [(1, None), (2, None)]


def test_other_files_and_hidden_ones_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)
    write(tmp_path / ".b.png", 2)
    write(tmp_path / ".cache" / "c.png", 3)
    (tmp_path / "notes.txt").write_text("not a picture")
    assert read(tmp_path) == [(1, None)]


def test_a_limit_draws_evenly_from_the_classes(animals: Path) -> None:
    found = read(animals, limit=6)
    assert [label for _, label in found] == [0, 1, 0, 1, 0, 1]
    assert len(set(found)) == 6


def test_a_draw_depends_on_the_seed_alone(animals: Path) -> None:
    draws = [tuple(read(animals, limit=4, seed=seed)) for seed in (0, 0, *range(1, 9))]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1


def test_a_limit_above_the_count_takes_all(animals: Path) -> None:
    assert sorted(read(animals, limit=100)) == sorted(read(animals))


def test_two_names_of_one_class_directory_are_refused(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        write(tmp_path / name / "0.png", 1)
    (tmp_path / "puma").symlink_to(tmp_path / "cat")
    assert refuse(tmp_path) == (
        f"{WHERE}.path: class directories must differ, got 'puma', which is the same as 'cat'"
    )


def test_an_unreadable_picture_is_skipped_and_recorded(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:40])
    samples = ImageFolder(path=".").open(directory=tmp_path, where=WHERE)
    assert isinstance(samples, Samples)
    assert [int(picture[0, 0, 0]) for picture, _ in samples] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [skipped.name for skipped in samples.skipped] == ["5.png"]
    assert "5.png" in samples.skipped[0].reason


def test_a_link_to_nothing_is_an_unreadable_picture(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "9.png").symlink_to(tmp_path / "absent")
    samples = ImageFolder(path=".").open(directory=tmp_path, where=WHERE)
    assert len(list(samples)) == 9
    assert [skipped.name for skipped in samples.skipped] == ["9.png"]


def test_hidden_directories_inside_a_class_are_left_alone(animals: Path) -> None:
    write(animals / "cat" / ".thumbnails" / "0.png", 99)
    assert 99 not in [level for level, _ in read(animals)]


def test_pictures_are_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "a.png")
    ((picture, _),) = ImageFolder(path=".").open(directory=tmp_path, where=WHERE)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[10, 20, 30]]]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert refuse(tmp_path / "absent") == (
        f"data.evaluation.path: must be a directory, got '{tmp_path}/absent'"
    )


def test_a_directory_without_pictures(tmp_path: Path) -> None:
    assert refuse(tmp_path) == (
        f"data.evaluation.path: must have pictures, got none in '{tmp_path}'"
    )


def test_a_class_without_pictures(animals: Path) -> None:
    (animals / "bee").mkdir()
    assert refuse(animals) == (
        "data.evaluation.path: every class directory must have pictures, got none in 'bee'"
    )


def test_pictures_beside_class_directories(animals: Path) -> None:
    write(animals / "stray.png", 1)
    assert refuse(animals) == (
        "data.evaluation.path: must have pictures or one directory for each class, got both;"
        " beside 'ant' is 'stray.png'"
    )


def test_evaluation_with_a_flat_directory(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)
    assert refuse(tmp_path, "ant", "cat") == (
        "data.evaluation.path: must have one directory for each class, got 1 pictures without"
    )


def test_a_class_that_the_task_does_not_know(animals: Path) -> None:
    assert refuse(animals, "ants", "cat") == (
        "data.evaluation.path: class directory must be a label of the task,"
        " got 'ant'; did you mean 'ants'?"
    )


def test_fewer_classes_than_labels(animals: Path) -> None:
    assert refuse(animals, "ant", "bee", "cat") == (
        "data.evaluation.path: must have a directory for each of the 3 labels, got 2;"
        " there is none for 'bee'"
    )
