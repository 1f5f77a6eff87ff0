"""What all checks share: how a broken rule is said, and when numbers agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import PluginError
from edgeprep.registry.kinds import Kind, check_class
from edgeprep.registry.offers import in_one_line

__all__ = ["forbid_errors", "relative_difference", "require", "require_class"]


def require(holds: object, message: str) -> None:
    """Raise AssertionError with `message` unless the rule `holds`."""
    if not holds:
        raise AssertionError(message)


def require_class(kind: Kind, cls: type) -> None:
    """Raise AssertionError where the registry would refuse `cls`."""
    try:
        check_class(kind, cls)
    except PluginError as fault:
        raise AssertionError(str(fault)) from fault


@contextmanager
def forbid_errors(rule: str) -> Iterator[None]:
    """Turn any error inside into an AssertionError that begins with `rule`."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as fault:
        raise AssertionError(f"{rule}, got {in_one_line(fault)}") from fault


def relative_difference(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference, relative to the largest value expected, or to 1 below that."""
    if actual.size == 0 or not np.isfinite(actual).all():
        return float("inf")
    wanted = expected.astype(np.float64)
    return float(np.abs(actual - wanted).max() / max(1.0, np.abs(wanted).max()))
