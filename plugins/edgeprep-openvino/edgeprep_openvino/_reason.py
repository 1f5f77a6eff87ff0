"""What an error of a library means, in one line."""

import re

__all__ = ["reason"]


# Where in openvino an error passed, one line each; the rest is what it means.
_POSITION = re.compile(r"(Exception from|Check '.*' failed at|FrontEnd API failed with) .*:")
_LENGTH = 240


def reason(error: BaseException) -> str:
    """The message of the error at the root of `error`, without where in openvino it passed.

    The root, since torch wraps each error in ever more general ones.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    meaning = " ".join(line for line in lines if line and not _POSITION.fullmatch(line))
    if len(meaning) > _LENGTH:
        return meaning[:_LENGTH] + "…"
    return meaning or type(error).__name__
