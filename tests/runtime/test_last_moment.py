"""The end of a program waits for what is inside of an engine, and for all of it together."""

import subprocess
import sys
import threading
import time

import pytest

from edgeprep.last_moment import LastMoment

# A call, work beside calls and a thread of an event loop, each of which hangs in an engine.
PROGRAM = """
import asyncio, threading, time
from edgeprep.runtime.background import Background
from edgeprep.runtime.ending import UNDER_WAY
from edgeprep.runtime.live import awaiting

class Hangs:
    def now(self):
        inside.release()
        time.sleep(60)

    def call(self):
        with UNDER_WAY:
            self.now()

inside = threading.Semaphore(0)
hangs = Hangs()
background = Background(hangs.now)
background.start()
answer = awaiting.run(hangs, hangs.now, crowd=1)
threading.Thread(target=hangs.call, daemon=True).start()
threading.Thread(target=asyncio.run, args=(answer,), daemon=True).start()
for _ in range(3):
    inside.acquire()
print(time.monotonic(), flush=True)
"""


def test_a_program_ends_within_3_seconds_whatever_hangs():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    taken = time.monotonic() - float(done.stdout)
    assert 1.9 < taken < 3.0  # it is waited for, and not twice


def test_the_first_that_waits_sets_the_deadline_of_all(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("edgeprep.last_moment.monotonic", lambda: now[0])
    end = LastMoment()
    assert end.left_s(5.0) == 5.0  # the program goes on
    end.begin()
    assert end.left_s() == 2.0
    now[0] += 1.5
    end.begin()
    assert end.left_s(1.0) == pytest.approx(0.5)
    now[0] += 1.0
    assert end.left_s() == 0.0


def test_steps_are_taken_in_their_order_whoever_was_first_and_whatever_one_of_them_raises():
    end, taken = LastMoment(), []

    def fail():
        raise RuntimeError("in the midst of it")

    end.add("marks", lambda: taken.append("marks"))
    end.add("threads", lambda: taken.append(("threads", end.is_over)))
    end.add("processes", fail)
    end.add("processes", lambda: taken.append("processes"))
    assert not end.is_over
    with pytest.raises(RuntimeError, match=r"^in the midst of it$"):
        end.finish()
    assert taken == ["processes", ("threads", True), "marks"]


def test_only_a_daemon_thread_leaves_without_a_word_and_only_at_the_end():
    end, raised = LastMoment(), []
    end.leave(KeyError("not yet"))
    end.finish()
    with pytest.raises(KeyError, match=r"^'it is over'$"):
        end.leave(KeyError("it is over"))

    def daemon():
        try:
            end.leave(KeyError("it is over"))
        except BaseException as error:  # noqa: BLE001 -- whatever it is, it is looked at
            raised.append(type(error))

    thread = threading.Thread(target=daemon, daemon=True)
    thread.start()
    thread.join()
    assert raised == [SystemExit]
