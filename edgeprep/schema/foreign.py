"""What code that is not ours raised, in one line: its kind, its words, and where it was."""

import sysconfig
from pathlib import Path
from traceback import extract_tb

__all__ = ["name_fault"]

_LONGEST = 200  # characters: some libraries explain themselves on pages

_NOT_THE_USERS = (Path(__file__).parents[1], Path(sysconfig.get_paths()["stdlib"]))
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def name_fault(error: BaseException) -> str:
    """As in `ValueError: bad width (model.py:12)`.

    Of the words of `error` the first line is kept, at most 200 characters. The place is the
    innermost one outside of installed libraries; there is none where all of it is theirs.
    """
    try:
        words = str(error).splitlines()
    except Exception:  # noqa: BLE001 -- an exception is the user's code as well
        words = []
    first = next((line.strip() for line in words if line.strip()), "")
    if len(first) > _LONGEST:
        first = f"{first[: _LONGEST - 3]}..."
    named = f"{type(error).__name__}: {first}" if first else type(error).__name__
    place = _place(error)
    return f"{named} ({place})" if place else named


def _place(error: BaseException) -> str:
    """File and line, such as `model.py:12`."""
    for frame in reversed(extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        # Not `<frozen importlib._bootstrap>` and what else has no file.
        if path.is_absolute() and not _is_library(path):
            return f"{path.name}:{frame.lineno}"
    return ""


def _is_library(path: Path) -> bool:
    return not _INSTALLED.isdisjoint(path.parts) or any(map(path.is_relative_to, _NOT_THE_USERS))
