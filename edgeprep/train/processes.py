"""What processes that share a training tell each other.

What torch has for them is imported where there are several: some are built without it.
"""

import json

import torch
from lightning_fabric import Fabric

from edgeprep import errors
from edgeprep.errors import EdgePrepError

__all__ = ["first_fault", "is_lost", "share_buffers"]

_FAULT = "edgeprep/first fault"
_BYTES = 250 * 2**20  # sent at once, as DistributedDataParallel does


def share_buffers(fabric: Fabric, module: torch.nn.Module) -> None:
    """Give every process the buffers of the first one, such as the statistics of its pictures.

    DistributedDataParallel does so before a step and not after the last one, so that what is scored
    and averaged would be another network in each process.

    Args:
        fabric: launched.
        module: on the device; every process has the same buffers.
    """
    buffers = list(module.buffers())
    if fabric.world_size == 1 or not buffers:
        return
    from torch._C._distributed_c10d import _broadcast_coalesced
    from torch.distributed.distributed_c10d import _get_default_group

    _broadcast_coalesced(_get_default_group(), buffers, _BYTES, 0)


def is_lost(fabric: Fabric, error: BaseException) -> bool:
    """Whether `error` says that another process has ended, and nothing of this one."""
    return fabric.world_size > 1 and (
        isinstance(error, torch.distributed.DistError) or "by peer" in str(error)
    )


def first_fault(fabric: Fabric, error: EdgePrepError) -> EdgePrepError:
    """The error of the process that failed first, after which others fail with it.

    Args:
        fabric: launched.
        error: of this process.
    """
    if fabric.world_size == 1:
        return error
    from torch.distributed.distributed_c10d import _get_default_store

    kinds = (kind.__name__ for kind in type(error).__mro__)
    kind = next(kind for kind in kinds if kind in errors.__all__)
    ours = json.dumps([kind, str(error)])
    try:
        first = _get_default_store().compare_set(_FAULT, "", ours).decode()
    except Exception:  # noqa: BLE001 -- the process that keeps it may have ended
        return error
    if first == ours:
        return error
    name, words = json.loads(first)
    fault: EdgePrepError = getattr(errors, name)(words)
    return fault
