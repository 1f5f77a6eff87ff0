"""Keeping stdout for results, and stderr for what a person needs to read."""

import contextlib
import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from unittest import mock

__all__ = ["quiet", "stdout_to_stderr"]

_SILENT = {
    "LITERT_TORCH_SHOW_PROGRESS": "n",
    # What is less than an error, from C++.
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Its announcement does not heed the level. Nothing here computes with TensorFlow's operators.
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While it lasts, stdout goes to stderr, and what is less than an error goes nowhere.

    torch.export, jax, torchao and transformers warn about each other and about their own insides.
    Nothing is held back where the logger "edgeprep" is at DEBUG, as `--verbose` has it.
    """
    if logging.getLogger("edgeprep").isEnabledFor(logging.DEBUG):
        with stdout_to_stderr():
            yield
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with stdout_to_stderr(), warnings.catch_warnings(), mock.patch.dict(os.environ, _SILENT):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """While it lasts, what the process prints to stdout goes to stderr, from C++ too."""
    c = ctypes.CDLL(None)
    sys.stdout.flush()
    c.fflush(None)
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        # What C holds back would otherwise come out on the real stdout, later.
        c.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
