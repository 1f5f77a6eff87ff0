"""Compiled forms that many processes read and write at once, and some of them die at it."""

import json
import subprocess
import sys
from pathlib import Path

# Forked from a process without threads: a round takes milliseconds, and not the start of Python.
SCRIPT = """
import os, random, signal, sys, time
from types import SimpleNamespace

import msgspec
from edgeprep.interfaces import Device
from edgeprep.runtime.candidates import Candidate
from edgeprep.runtime.compiled import CompiledForms

folder, kills = sys.argv[1], int(sys.argv[2])
reachable = SimpleNamespace(
    candidate=Candidate(variant="v", backend="b"),
    device=Device(name="cpu", kind="cpu"),
    backend=SimpleNamespace(compiled_for=lambda device: "1"),
)

def write(seed):
    chance = random.Random(seed)
    forms = CompiledForms("d", lambda event: os._exit(3), folder)
    while True:
        letter, length = chance.randrange(256), chance.randrange(1, 60_000)
        runner = SimpleNamespace(compiled=lambda: bytes([letter]) * length)
        for name in os.listdir(folder):
            if name.endswith(".form"):
                try:
                    os.unlink(os.path.join(folder, name))
                except FileNotFoundError:
                    pass
        forms.keep(reachable, runner)
        time.sleep(0.002)

def read(seed):
    forms = CompiledForms("d", lambda event: os._exit(4), folder)
    while True:
        found = forms.find(reachable)
        time.sleep(0.002)
        if found is not None and found != found[:1] * len(found):
            os._exit(5)

def start(work, seed):
    pid = os.fork()
    if not pid:
        os.nice(19)  # or the one that kills gets no turn
        try:
            work(seed)
        finally:
            os._exit(6)
    return pid

CompiledForms("d", print, folder).find(reachable)  # makes the directory
chance = random.Random(0)
works = [write] * 8 + [read] * 8
pids = [start(work, seed) for seed, work in enumerate(works)]
ended, killed = [], 0
for round in range(kills):
    time.sleep(0.001)
    index = chance.randrange(len(pids))
    os.kill(pids[index], signal.SIGKILL)
    _, status = os.waitpid(pids[index], 0)
    ended.append(os.waitstatus_to_exitcode(status))
    killed += works[index] is write
    pids[index] = start(works[index], len(works) + round)
for pid in pids:
    os.kill(pid, signal.SIGKILL)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
left = sum(name.endswith(".tmp") for name in os.listdir(folder))
told = []
CompiledForms("d", told.append, folder).find(reachable)
after = sum(name.endswith(".tmp") for name in os.listdir(folder))
print(msgspec.json.encode({
    "ended": sorted(set(ended)), "killed": killed + 8, "left": left, "after": after,
    "told": len(told),
}).decode())
"""


def test_no_form_is_read_in_part_whoever_writes_and_dies(tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    command = [sys.executable, "-c", SCRIPT, str(folder), "500"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    found = json.loads(done.stdout)
    # Not one ended by itself: with a form that was not whole, or an event that one was damaged.
    assert found["ended"] == [-9]
    assert found["left"] <= found["killed"]
    assert found["after"] == 0
    assert found["told"] == 0
