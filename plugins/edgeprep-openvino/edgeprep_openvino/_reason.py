"""What an error of a library means, in one line."""

__all__ = ["reason"]


def reason(error: BaseException) -> str:
    """The last line of the error at the root of `error`.

    openvino puts the positions in its source first and what it means last; torch wraps each
    error in ever more general ones.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
