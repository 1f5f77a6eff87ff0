"""Signals between steps."""

import os
import signal

import pytest

from edgeprep.train.stopping import stop_between_steps


class Came(Exception):
    pass


@pytest.fixture
def handled():
    """Signals raise `Came`, as in a command."""

    def handler(number, frame):
        raise Came(signal.Signals(number).name)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield handler
    for number, previous in before.items():
        signal.signal(number, previous)


def test_a_signal_waits_until_what_is_kept_is_saved(handled):
    done = []

    def step():
        with stop_between_steps(lambda: done.append("saved")) as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("went on")
            stop()

    with pytest.raises(Came, match="SIGTERM"):
        step()
    assert done == ["went on", "saved"]
    assert signal.getsignal(signal.SIGTERM) is handled


def test_who_signals_twice_does_not_wait(handled):
    done = []

    def step():
        with stop_between_steps(lambda: done.append("saved")):
            os.kill(os.getpid(), signal.SIGINT)
            done.append("went on")
            os.kill(os.getpid(), signal.SIGINT)
            done.append("went on again")

    with pytest.raises(Came, match="SIGINT"):
        step()
    assert done == ["went on"]


def test_without_a_signal_nothing_is_saved(handled):
    done = []
    with stop_between_steps(lambda: done.append("saved")) as stop:
        stop()
    assert done == []


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_between_steps(lambda: None) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            stop()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
