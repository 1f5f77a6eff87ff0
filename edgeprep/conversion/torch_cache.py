"""Where torch's compiler keeps its cache while a network is converted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["torch_cache_in"]

_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def torch_cache_in(directory: Path) -> Iterator[None]:
    """Inside, the cache, which nothing here uses, is made under `directory` and not for good.

    A directory that the user chose through the environment is left as it is.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = before or str(directory / "torch")
    try:
        yield
    finally:
        # NOTE: put back by hand even where it was set: torch writes its own spelling of it.
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
