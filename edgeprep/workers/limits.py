"""What a worker may take: time and memory."""

import os
import sys
from contextlib import suppress

from msgspec import Struct

from edgeprep.errors import InputError

__all__ = ["Limits", "machine_memory"]

_LEAST_BYTES = 4 * 2**30
_CGROUP = "/sys/fs/cgroup/memory.max"


class Limits(Struct, frozen=True, kw_only=True):
    """How long a worker may take, and how much memory; beyond, it is ended.

    Times are in seconds, above 0.

    Attributes:
        start_s: to start, import the engine and list its devices. Engines take seconds to be read
            from a memory card.
        load_s: to load a model; engines of GPUs compile for a minute.
        run_s: for one run; where several are timed together, for each of them.
        memory_bytes: of addresses, which is what the system can limit, where the device is a CPU;
            None: as much as the machine has, and never less than 4 GiB. What drives other devices
            reserves many times what it uses.

    Raises:
        InputError: one is no such number.
    """

    start_s: float = 30.0
    load_s: float = 120.0
    run_s: float = 10.0
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would be no limit, or end every worker."""
        for name in ("start_s", "load_s", "run_s"):
            value = getattr(self, name)
            # NOTE: written so that what is not a number is refused, too.
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                rule = "must be a number of seconds above 0"
                raise InputError(f"limits.{name}: {rule}, got {value!r}")
        memory = self.memory_bytes
        if memory is not None and not _is_size(memory):
            rule = "must be None or a whole number of bytes above 0"
            raise InputError(f"limits.memory_bytes: {rule}, got {memory!r}")

    @property
    def address_bytes(self) -> int:
        """`memory_bytes`, or what stands for None."""
        return self.memory_bytes or max(machine_memory(), _LEAST_BYTES)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= sys.maxsize


def machine_memory() -> int:
    """What the machine has, or this process's container may use, in bytes; 0: unknown."""
    known = []
    with suppress(OSError, ValueError):  # a system that does not tell
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError), open(_CGROUP, encoding="ascii") as file:
        known.append(int(file.read()))  # "max" where there is no limit
    return min(known, default=0)
