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


def test_a_signal_after_the_last_step_is_saved_and_delivered(handled):
    done = []

    def step():
        with stop_between_steps(lambda: done.append("saved")) as stop:
            stop()
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("went on")

    with pytest.raises(Came, match="SIGTERM"):
        step()
    assert done == ["went on", "saved"]
    assert signal.getsignal(signal.SIGTERM) is handled


def test_a_signal_before_an_error_is_delivered(handled):
    def step():
        with stop_between_steps(lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
            raise KeyError("hub")

    with pytest.raises(Came, match="SIGINT") as fault:
        step()
    assert isinstance(fault.value.__context__, KeyError)


def test_a_signal_while_a_save_runs_is_delivered(handled):
    done = []

    def save():
        done.append("saving")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("saved")

    def step():
        with stop_between_steps(save):
            save()

    with pytest.raises(Came, match="SIGTERM"):
        step()
    # The second one, of the save that the first one asked for, does not wait.
    assert done == ["saving", "saved", "saving"]


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
