"""Which files of a directory are meant."""

from pathlib import Path

import pytest

from edgeprep.data.picture_files import files_below


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("b/c.png", "a.png", ".hidden.png", ".d/e.png", "b/._c.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_below(root)]


def test_hidden_files_and_directories_are_left_alone(tree: Path) -> None:
    assert names(tree) == ["a.png", "b/c.png"]


def test_linked_directories_are_gone_into(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere" / "sub" / "f.png").write_bytes(b"")
    (tree / "b" / "link").symlink_to(tmp_path / "elsewhere")
    assert names(tree) == ["a.png", "b/c.png", "b/link/sub/f.png"]


def test_a_link_to_a_directory_above_it_ends_there(tree: Path) -> None:
    (tree / "b" / "loop").symlink_to(tree)
    assert names(tree) == ["a.png", "b/c.png"]


def test_a_link_to_a_directory_above_the_root_ends_there(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "f.png").write_bytes(b"")
    (tree / "b" / "up").symlink_to(tmp_path)
    assert names(tree) == ["a.png", "b/c.png"]


def test_a_directory_with_two_names_goes_by_its_own(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tree / "a").symlink_to(tree / "b")
    assert names(tree) == ["a.png", "b/c.png"]
    (record,) = caplog.records
    message = f"{tree / 'a'}: is left out, as it is the same directory as {tree / 'b'}"
    assert record.getMessage() == message


def test_a_link_to_nothing_is_a_file_that_cannot_be_read(tree: Path) -> None:
    (tree / "gone.png").symlink_to(tree / "nowhere.png")
    assert names(tree) == ["a.png", "b/c.png", "gone.png"]
