"""Checkpoints as they are published, whose weights have other names than the network's.

transformers renames, splits and joins weights while it reads a checkpoint, and saves them as they
were. Its classes do so by `from_pretrained`, from tensors that were read already: no file is looked
for, and nothing is fetched.
"""

import io
import logging
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import torch

__all__ = ["renamed"]


def renamed(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor] | None:
    """`state` under the names that `network` has; None where its class does not know it.

    Args:
        network: of any class; those that know published checkpoints have `from_pretrained`.
        state: tensors of a checkpoint.
    """
    kind: Any = type(network)
    if not hasattr(kind, "from_pretrained") or not hasattr(network, "config"):
        return None
    logger = logging.getLogger(kind.__module__.partition(".")[0])
    disabled, logger.disabled = logger.disabled, True
    try:
        # A report and a bar that count what the caller's own message says.
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            known, report = kind.from_pretrained(
                None,
                config=network.config,
                state_dict=dict(state),
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception:  # noqa: BLE001 -- the caller says what does not fit
        return None
    finally:
        logger.disabled = disabled
    if any(report.get(key) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        return None
    found: Mapping[str, torch.Tensor] = known.state_dict()
    return found
