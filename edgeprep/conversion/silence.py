"""What torch's exporter warns about though nobody who converts a network can act on it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_known_warnings"]


@contextmanager
def without_known_warnings() -> Iterator[None]:
    """Inside, torch.onnx does not say that torchvision is missing or that torch is deprecated.

    Nothing is held back where the logger "edgeprep" is at DEBUG, as `--verbose` has it.
    """
    if logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG):
        yield
        return
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.addFilter(_is_news)
    try:
        with warnings.catch_warnings():
            # torch.export's own copy of a tree of arguments, since torch 2.10.
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        registration.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    # torch.onnx has operators of torchvision ready, should a network use them.
    return not record.getMessage().startswith("torchvision is not installed")
