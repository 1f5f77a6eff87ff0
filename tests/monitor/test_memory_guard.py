"""The memory guard, on numbers that were thought up and on memory that is really held."""

import itertools
import subprocess
import sys

import pytest

from edgeprep.monitor.memory_guard import MemoryGuard
from edgeprep.monitor.process import read_process, resident_bytes

MB = 2**20


class Machine:
    """A process whose calls leave so much, and which grows by so much between them."""

    def __init__(self, *, call=0, between=0, noise=0):
        self.held = 100 * MB
        self.call, self.between, self.noise = call, between, noise

    def read(self):
        return self.held

    def told(self, calls):
        guard = MemoryGuard(self.read)
        found = []
        for number in range(1, calls + 1):
            self.held += self.between
            began = guard.before()
            self.held += self.call + (self.noise if number % 2 else -self.noise)
            growth = guard.after(began)
            if growth is not None:
                found.append((number, growth))
        return found


def test_eleven_megabytes_a_call_are_told_within_a_hundred_calls():
    number, growth = Machine(call=11 * MB).told(100)[0]
    assert number <= 100
    assert growth.call_bytes == 11 * MB
    assert growth.bytes >= 256 * MB
    assert str(growth) == "11.5 MB a call, 288 MB in 25 calls"


def test_it_is_told_again_after_as_much_again():
    numbers = [number for number, _ in Machine(call=11 * MB).told(200)]
    assert len(numbers) > 3
    assert min(b - a for a, b in itertools.pairwise(numbers)) >= 256 // 11


def test_a_slow_leak_is_told_in_time():
    ((number, growth),) = Machine(call=10_000).told(30_000)
    assert number == pytest.approx(256 * MB / 10_000, rel=0.05)
    assert growth.call_bytes == 10_000


@pytest.mark.parametrize(
    "machine",
    [
        Machine(),
        Machine(between=11 * MB),
        Machine(between=2 * MB, call=MB // 4),
        Machine(noise=200 * MB),
    ],
    ids=["nothing grows", "the application grows", "most is the application's", "it breathes"],
)
def test_what_calls_do_not_leave_is_not_told(machine):
    assert machine.told(2000) == []


def test_the_first_calls_may_take_what_they_need():
    machine = Machine()
    guard = MemoryGuard(machine.read)
    for number in range(1, 200):
        began = guard.before()
        machine.held += 300 * MB if number <= 16 else 0
        assert guard.after(began) is None


class Together:
    """Four callers whose calls begin and end together, and a guard of their process."""

    def __init__(self):
        self.machine = Machine()
        self.engine = 0
        self.guard = MemoryGuard(self.machine.read, engine=lambda: self.engine)

    def told(self, rounds, *, during, between=0):
        found = []
        for _ in range(rounds):
            began = [self.guard.before() for _ in range(4)]
            self.machine.held += during
            found += [self.guard.after(one) for one in began]
            self.machine.held += between
        return [one for one in found if one is not None]


def test_calls_at_the_same_time_share_what_they_leave():
    growth = Together().told(100, during=4 * MB)[0]
    assert growth.call_bytes == 1 * MB
    assert growth.bytes >= 256 * MB
    # A fifth of it is left by calls. Had each of the four counted all of it, that would be 80 %.
    assert Together().told(2000, during=2 * MB, between=8 * MB) == []


def test_calls_in_the_midst_of_a_long_one_share_what_it_is_held_to():
    machine = Machine()
    guard = MemoryGuard(machine.read)
    for _ in range(200):
        long = guard.before()
        for _ in range(7):
            short = guard.before()
            machine.held += MB // 8
            assert guard.after(short) is None
        guard.after(long)
        machine.held += 7 * MB  # what calls leave is an eighth of that
    assert guard._left <= guard._watched * MB // 8


def test_calls_that_fail_are_not_under_way_for_ever():
    machine = Machine()
    guard = MemoryGuard(machine.read)
    for _ in range(100):
        guard.before()
        guard.after(None)
    began = [guard.before() for _ in range(8)]
    assert next(ended for _, ended, *_ in filter(None, began)) == 100


def test_what_another_engine_takes_to_be_loaded_is_no_growth():
    together = Together()
    assert together.told(20, during=0) == []
    # It is loaded in the midst of a call, takes room in its first ones, and then no more.
    (*_, watched) = [together.guard.before() for _ in range(8)]
    together.engine = 1
    together.machine.held += 500 * MB
    assert watched is not None
    assert [together.guard.after(watched) for _ in range(8)] == [None] * 8
    assert together.told(4, during=300 * MB) == []
    assert together.told(100, during=0) == []
    # And what that one leaves is counted again.
    assert together.told(300, during=8 * MB) != []


def test_where_the_system_does_not_say_nothing_is_told():
    guard = MemoryGuard(lambda: None)
    assert [guard.before() for _ in range(100)] == [None] * 100


def test_memory_that_is_held_is_resident():
    before = resident_bytes()
    held = bytearray(b"x" * (32 * MB))
    after = resident_bytes()
    assert after - before == pytest.approx(len(held), rel=0.2)
    assert resident_bytes(2**22 + 1) is None


def test_the_process_says_what_it_has_used():
    first = read_process()
    sum(range(2_000_000))
    second = read_process()
    assert 0 < second.cpu_s - first.cpu_s < 60
    assert 1 * MB < first.rss_bytes < 2**40
    assert first.temperature_c is None or -40 < first.temperature_c < 150


def test_a_worker_says_what_it_has_used():
    from edgeprep.monitor.process import Worker, read_worker

    # Blanks and brackets in its name are no fields.
    work = (
        "open('/proc/self/comm', 'w').write('a) b (c'); held = b'x' * 2**26; "
        "sum(range(20_000_000)); print(flush=True); input()"
    )
    command = [sys.executable, "-c", work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        found = read_worker(worker.pid)
        worker.communicate(b"\n")
    assert 2**26 < found.rss_bytes < 2**27
    assert 0.1 < found.cpu_s < 60
    assert read_worker(2**22 + 1) == Worker(rss_bytes=None, cpu_s=None)


def test_the_hottest_sensor_that_can_be_is_the_temperature(tmp_path):
    from edgeprep.monitor.process import temperature_c

    for number, text in enumerate(("41500\n", "58250\n", "-273000\n", "no\n", "999000\n")):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(text)
    (tmp_path / "cooling_device0").mkdir()
    assert temperature_c(str(tmp_path)) == 58.25
    assert temperature_c(str(tmp_path / "none")) is None
