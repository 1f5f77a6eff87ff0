"""Tables as the text that is pasted into a recipe."""

import json
import math
import re
from collections.abc import Iterable, Mapping

__all__ = ["to_toml"]


def to_toml(
    tables: Iterable[Mapping[str, object]], head: str = "[[preprocess]]", *, between: str = "\n"
) -> str:
    """`tables` as blocks of TOML, without a newline at the end.

    Args:
        tables: one a block, such as one a stage.
        head: what each block begins with; "": nothing.
        between: what is between blocks.

    Raises:
        TypeError: a value is one that TOML has no word for, such as None.
    """
    return between.join(_block(table, head) for table in tables)


def _block(table: Mapping[str, object], head: str) -> str:
    keys = {_key(key): value for key, value in table.items()}
    width = max(map(len, keys), default=0)
    lines = [f"{key:<{width}} = {_value(value)}" for key, value in keys.items()]
    return "\n".join([head, *lines] if head else lines)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case Mapping():
            pairs = (f"{_key(key)} = {_value(item)}" for key, item in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"TOML has no word for {type(value).__name__}")


def _text(text: str) -> str:
    # The one control character that JSON leaves as it is and TOML does not allow.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
