"""What the system says of this process and of this machine's heat."""

import os
import time
from contextlib import suppress

from msgspec import Struct

__all__ = [
    "Process",
    "Worker",
    "read_process",
    "read_worker",
    "resident_bytes",
    "temperature_c",
]

_ZONES = "/sys/class/thermal"
# Of what drivers say: above are sensors that are not there, below is a machine that is off.
_POSSIBLE_C = (-40.0, 150.0)


class Process(Struct, frozen=True, kw_only=True):
    """This process, with all of its sessions, at one moment.

    Attributes:
        rss_bytes: memory that is its own or shared, and in the machine's; None where the system
            does not say.
        cpu_s: time that processors worked for it, in seconds, all threads together.
        temperature_c: the hottest place of this machine that has a sensor, in degrees Celsius; None
            where it has none, or the system does not say.
    """

    rss_bytes: int | None
    cpu_s: float
    temperature_c: float | None


class Worker(Struct, frozen=True, kw_only=True):
    """The process that an engine is in, where that is another one, at one moment.

    Attributes:
        rss_bytes: as of `Process`.
        cpu_s: as of `Process`; it begins anew with another worker. None where the system does not
            say, or the worker has ended.
    """

    rss_bytes: int | None
    cpu_s: float | None


def read_worker(pid: int) -> Worker:
    """What the system says now of the process `pid`."""
    return Worker(rss_bytes=resident_bytes(pid), cpu_s=_cpu_s(pid))


def _cpu_s(pid: int) -> float | None:
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        # After the name, which may have blanks and brackets in it: utime and stime (proc(5)).
        fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def read_process() -> Process:
    """What the system says now."""
    return Process(
        rss_bytes=resident_bytes(), cpu_s=time.process_time(), temperature_c=temperature_c()
    )


def resident_bytes(pid: int | None = None) -> int | None:
    """The resident memory of a process, in bytes; None where the system does not say. Linux only.

    Args:
        pid: of which one; None: of this one.
    """
    # NOTE: opened each time, as a file that stays open in a fork tells of its parent; 6 µs.
    path = f"/proc/{'self' if pid is None else pid}/statm"
    with suppress(OSError, ValueError, IndexError), open(path, "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def temperature_c(zones: str = _ZONES) -> float | None:
    """The hottest of the sensors under `zones`, in degrees Celsius; None where there is none."""
    found = []
    with suppress(OSError):
        for zone in os.listdir(zones):
            with suppress(OSError, ValueError), open(f"{zones}/{zone}/temp", "rb") as file:
                found.append(int(file.read()) / 1000)
    least, most = _POSSIBLE_C
    return max((one for one in found if least < one < most), default=None)
