"""Work that is done once, whether it succeeds or fails."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from edgeprep.errors import EdgePrepError

__all__ = ["once"]

P = ParamSpec("P")
T = TypeVar("T")


def once(work: Callable[P, T]) -> Callable[P, T]:
    """`work`, done at the first call for each of its arguments; what it raised is raised again.

    As `functools.cache`, which does again what has failed.
    """
    known: dict[object, T] = {}
    faults: dict[object, EdgePrepError] = {}

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(kwargs.items()))
        if key in faults:
            raise faults[key]
        if key not in known:
            try:
                known[key] = work(*args, **kwargs)
            except EdgePrepError as error:
                faults[key] = error
                raise
        return known[key]

    return call
