"""Memory that a model adds, measured in a process of its own."""

import os

import numpy as np
import pytest

from edgeprep.errors import BackendError
from edgeprep.interfaces import Backend, Device, Model, Runner
from edgeprep.runtime.footprint import measure_footprint

MIB = 2**20
CPU = Device(name="cpu", kind="cpu")
# A size whose model is loaded with words that are no text.
NOISE = 4321
IMAGE = np.zeros((1, 2, 2, 3), np.uint8)


class Hungry(Backend):
    """Holds as many bytes as its model says, and as many again while it runs."""

    name = "hungry"
    formats = ("bytes",)

    def devices(self):
        return (CPU,)

    def options(self, device, precision):
        return ({},)

    def load(self, model, device, options):
        size = int(model.files["size"])
        if size < 0:
            raise BackendError("must be fed")
        if size == NOISE:
            os.write(1, b"\xff\xfe loading\n")
        return Eating(size)

    def versions(self):
        return {}


class Eating(Runner):
    inputs = outputs = ()

    def __init__(self, size):
        self.held = np.ones(size, np.uint8)

    def run(self, inputs):
        return (self.held + inputs[0][0, 0, 0, 0],)

    def close(self):
        pass


def footprint(size):
    model = Model(format="bytes", files={"size": str(size).encode()})
    return measure_footprint(Hungry(), model, CPU, {}, (IMAGE,))


def test_what_is_held_and_what_running_takes_count_once():
    # The second array of a call is there before the first is gone. Linux counts the pages of a
    # process in batches, which may leave some of them out: fewer than those above 64 MiB here.
    assert 2 * 64 * MIB <= footprint(65 * MIB) <= 3.2 * 64 * MIB


def test_a_small_model_adds_little():
    assert footprint(1024) < 8 * MIB


def test_an_engine_may_print_what_is_no_text():
    assert footprint(NOISE) < 8 * MIB


def test_an_engine_that_fails_there_is_told_of_with_its_last_words():
    with pytest.raises(BackendError, match=r"^backend 'hungry': must run in a process") as fault:
        footprint(-1)
    assert str(fault.value) == (
        "backend 'hungry': must run in a process of its own, for its memory to be measured, got "
        "'edgeprep.errors.BackendError: must be fed'"
    )


def test_no_code_is_taken_from_the_directory_that_the_program_was_started_in(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('json.py of strangers')")
    monkeypatch.chdir(tmp_path)
    assert footprint(1024) < 8 * MIB
