"""What a worker may take: time and memory."""

import os
from contextlib import suppress

from msgspec import Struct

__all__ = ["Limits", "machine_memory"]

_LEAST_BYTES = 4 * 2**30
_CGROUP = "/sys/fs/cgroup/memory.max"


class Limits(Struct, frozen=True, kw_only=True):
    """How long a worker may take, and how much memory; beyond, it is ended.

    Attributes:
        start_s: to start, import the engine and list its devices. Engines take seconds to be read
            from a memory card.
        load_s: to load a model; engines of GPUs compile for a minute.
        run_s: for one run; where several are timed together, for each of them.
        memory_bytes: of addresses, which is what the system can limit, where the device is a CPU;
            None: as much as the machine has, and never less than 4 GiB. What drives other devices
            reserves many times what it uses.
    """

    start_s: float = 30.0
    load_s: float = 120.0
    run_s: float = 10.0
    memory_bytes: int | None = None

    @property
    def address_bytes(self) -> int:
        """`memory_bytes`, or what stands for None."""
        return self.memory_bytes or max(machine_memory(), _LEAST_BYTES)


def machine_memory() -> int:
    """What the machine has, or this process's container may use, in bytes; 0: unknown."""
    known = []
    with suppress(OSError, ValueError):  # a system that does not tell
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError), open(_CGROUP, encoding="ascii") as file:
        known.append(int(file.read()))  # "max" where there is no limit
    return min(known, default=0)
