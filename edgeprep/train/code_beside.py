"""Which Python files a recipe's own code can be made of."""

import ast
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["code_beside", "strings_in"]

# What directories of environments have, of venv and of conda: nothing of a recipe's.
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")


def code_beside(directory: Path) -> list[Path]:
    """The Python files in `directory` and below it, in order, and those of folders they name.

    That is all that a file in it can import, and what it can load by `load_module` from a folder
    beside `directory`, such as `HERE.parent / "digits-mobilenet"`; and what these name in turn.
    Directories that are no names of packages, and environments, are not looked into.
    """
    home = directory.resolve()
    found, waiting, known = list[Path](), [directory], {home.name}
    while waiting:
        files = list(_files(waiting.pop(0)))
        found += files
        named = set[str]()
        for path in files:
            # What cannot be parsed cannot be loaded either.
            with suppress(SyntaxError, ValueError):
                named |= strings_in(path)
        others = sorted(_folders(home.parent, named) - known)
        known.update(others)
        waiting += [home.parent / name for name in others]
    return found


def strings_in(path: Path) -> set[str]:
    """The strings that a Python file has, those alone that could name a folder beside its own.

    Raises:
        SyntaxError: it is not Python.
        ValueError: it is not text.
    """
    tree = ast.parse(path.read_text("utf-8"), str(path))
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {one.removeprefix("../").partition("/")[0] for one in strings if isinstance(one, str)}


def _files(directory: Path) -> Iterator[Path]:
    for place, directories, files in os.walk(directory):
        directories[:] = sorted(
            name
            for name in directories
            if name.isidentifier()
            and name != "__pycache__"
            and not any(Path(place, name, mark).exists() for mark in _ENVIRONMENTS)
        )
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".py"))


def _folders(home: Path, named: set[str]) -> set[str]:
    """Those of `named` that are folders of Python files in `home`."""
    with suppress(OSError):
        beside = {entry.name for entry in os.scandir(home) if entry.is_dir()}
        return {name for name in named & beside if any((home / name).glob("*.py"))}
    return set()
