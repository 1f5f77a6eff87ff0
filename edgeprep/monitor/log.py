"""Lines of the log `edgeprep`, which hurt nobody."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

__all__ = ["say"]


def say(
    level: int,
    message: str,
    *values: object,
    facts: Mapping[str, Any] | None = None,
    fault: BaseException | None = None,
) -> None:
    """Write a line; what a handler of the log raises is its own fault, and nobody is told of it.

    Args:
        level: as those of `logging`.
        message: with a place for each of `values`, as `logging` has them.
        values: in their order.
        facts: for programs: attributes of the record.
        fault: with its traceback.
    """
    # Here, as logging takes long to import, and most sessions never have anything to say.
    import logging

    with suppress(Exception):
        logging.getLogger("edgeprep").log(
            level, message, *values, extra=facts, exc_info=fault, stacklevel=2
        )
