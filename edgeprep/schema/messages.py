"""The words that all faults of tables and names share."""

import re
from collections.abc import Collection

from edgeprep.errors import RecipeError

__all__ = ["broken", "join", "name_first", "nearest", "nearest_or_all", "show"]


def show(value: object) -> str:
    """The `repr` of `value`, cut where it would drown the message."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits.
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def join(where: str, key: str) -> str:
    """The path of `key` in the table at `where`; a key that TOML has to quote is quoted."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        import json  # here, as hardly any key needs it

        key = json.dumps(key, ensure_ascii=False)
    return f"{where}.{key}" if where else key


def nearest(name: str, known: Collection[str]) -> str:
    """The end of a message about an unknown `name`: `; did you mean 'ratio'?`, or nothing."""
    import difflib  # here, as only a wrong name needs it

    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def nearest_or_all(name: str, known: Collection[str]) -> str:
    """As `nearest`; where nothing is near, what there is: `; known here: 'ratio', 'scope'`."""
    listing = ", ".join(map(repr, known)) or "nothing"
    return nearest(name, known) or f"; known here: {listing}"


def name_first(most: int, names: Collection[str], *, quoted: bool = True) -> str:
    """The first `most` of `names`, with a count of the others: `'a', 'b' and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) if quoted else name for name in [*names][:most]) + more


def broken(where: str, rule: str, value: object, remedy: str = "") -> RecipeError:
    """The error for a `value` that breaks a rule: `<where>: <rule>, got <value><remedy>`."""
    path = f"{where}: " if where else ""
    return RecipeError(f"{path}{rule}, got {show(value)}{remedy}")
