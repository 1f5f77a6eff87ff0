"""tools/hammer and tools/soak: that they see what is wrong, where something is."""

import json
import mmap
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import numpy as np
import pytest

from edgeprep.errors import DTypeError

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: import_module(f"benchmarks.{name}")


class Alone:
    """A session whose answers are sums; `mixed_up` calls give the answer of another thread."""

    def __init__(self, every=0, lets_pass=False, raises=False):
        self.every, self.lets_pass, self.raises = every, lets_pass, raises
        self.calls, self.last, self.lock = 0, 0.0, threading.Lock()
        self.main = threading.get_ident()

    def outputs(self, picture):
        if picture.dtype != np.uint8 and not self.lets_pass:
            raise DTypeError("picture: must have dtype uint8")
        with self.lock:
            now, before, self.last = float(picture.sum()), self.last, float(picture.sum())
            beside = threading.get_ident() != self.main
            self.calls += beside
            if beside and self.raises and self.calls > 50:
                raise RuntimeError("device lost")
            wrong = beside and self.every and self.calls % self.every == 0
        return (np.array([[before if wrong else now]]),)

    def __call__(self, picture):
        return SimpleNamespace(label=str(self.outputs(picture)[0][0, 0]))

    def batch(self, pictures):
        return tuple(self(picture) for picture in pictures)


def test_pictures_are_of_all_contents_and_layouts(script):
    pictures = script("hammer").mixed((8, 6, 3))
    assert len(pictures) == 48
    assert {picture.shape for picture in pictures} == {(8, 6, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    kinds = {
        (picture.flags.c_contiguous, picture.flags.f_contiguous, picture.flags.writeable)
        for picture in pictures
    }
    assert len(kinds) >= 3
    assert len({picture.tobytes() for picture in pictures}) >= 36


def test_of_a_session_that_is_right_nothing_is_wrong(script):
    hammer = script("hammer")
    tally = hammer.hammer(Alone(), hammer.mixed((8, 6, 3)), threads=4, answers=2000)
    assert tally.answers >= 2000
    assert tally.refused == tally.answers // 20
    found = (tally.wrong, tally.let_pass, tally.stuck, tally.errors)
    assert found == (0, 0, 0, [])


def test_answers_that_are_another_threads_are_counted(script):
    hammer = script("hammer")
    tally = hammer.hammer(Alone(every=10), hammer.mixed((8, 6, 3)), threads=4, answers=2000)
    # One in ten, but where two pictures in turn are alike.
    assert 0.05 * tally.answers <= tally.wrong <= 0.11 * tally.answers


def test_what_is_let_pass_and_what_is_raised_is_counted(script):
    hammer = script("hammer")
    pictures = hammer.mixed((8, 6, 3))
    tally = hammer.hammer(Alone(lets_pass=True), pictures, threads=2, answers=200)
    assert (tally.let_pass, tally.refused) == (tally.answers // 20, 0)
    tally = hammer.hammer(Alone(raises=True), pictures, threads=2, answers=200)
    assert tally.errors == ["RuntimeError: device lost"] * 2


def test_who_is_slow_is_told_from_who_does_not_come_back(script, monkeypatch):
    hammer, released = script("hammer"), threading.Event()
    monkeypatch.setattr(hammer, "_STUCK_S", 0.3)

    class Late(Alone):
        def __init__(self, wait):
            super().__init__()
            self.wait = wait

        def batch(self, pictures):
            self.wait()
            return super().batch(pictures)

    pictures = hammer.mixed((8, 6, 3))
    # Ten batches a thread take longer than the limit, and each of them less.
    slow = hammer.hammer(Late(lambda: sleep(0.05)), pictures, threads=2, answers=400)
    assert (slow.stuck, slow.wrong, slow.answers) == (0, 0, 400)
    stuck = hammer.hammer(Late(released.wait), pictures, threads=2, answers=400)
    released.set()
    assert stuck.stuck == 2


def test_memory_grows_by_the_slope_of_a_straight_line(script):
    soak = script("soak")

    def held(calls, megabytes):
        rss = int(megabytes * 1e6)
        return soak.Held(calls=calls, rss_bytes=rss, files=3, threads=2, temporary=0)

    # 100 MB and 2 MB for every 10,000 calls, up and down by half a MB in turns.
    line = [held(n * 1000, 100 + 0.2 * n + (0.5 if n % 2 else -0.5)) for n in range(100)]
    assert soak.slope_mb(line) == pytest.approx(2.0, abs=0.02)
    assert soak.slope_mb([held(5, 100)]) == 0.0


HOLDING = """
import json, sys, tempfile, threading
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from benchmarks import soak, watched

folder = Path(tempfile.gettempdir())
before = soak.Held.now(0)
stop = threading.Event()
threading.Thread(target=stop.wait).start()
with (folder / "left behind").open("wb"):
    block = np.ones(30_000_000, np.uint8)
    after = soak.Held.now(1)
stop.set()
del block
watched.trim()
print(json.dumps({
    "files": after.files - before.files,
    "threads": after.threads - before.threads,
    "temporary": after.temporary - before.temporary,
    "rss_bytes": after.rss_bytes - before.rss_bytes,
    "given_back": after.rss_bytes - watched.rss_bytes(),
}))
"""


def test_what_a_process_holds_is_counted(tmp_path, monkeypatch):
    # In one of its own: what this one has freed before, it would take again.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", HOLDING, str(TOOLS)], capture_output=True, text=True, check=True
    )
    more = json.loads(done.stdout)
    assert (more["files"], more["threads"], more["temporary"]) == (1, 1, 1)
    assert 25e6 <= more["rss_bytes"] <= 40e6
    assert more["given_back"] > 25e6


class Opened(Alone):
    """What `edgeprep.open` might give."""

    input = SimpleNamespace(rows=40, width=50, channels=3)
    choice = "alone"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Keeping(Opened):
    """Keeps as much of every call."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def __call__(self, picture):
        # Pages of its own: the heap would take what tests before have freed.
        page = mmap.mmap(-1, 2 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE)
        page.write(b"\1" * len(page))
        self.kept.append(page)
        return super().__call__(picture)

    def __exit__(self, *_):
        self.kept.clear()


@pytest.fixture
def soaked(script, monkeypatch):
    """The figure of memory of so many calls of a session."""

    def run(session, calls):
        monkeypatch.setattr("edgeprep.open", lambda *_, **__: session)
        return script("soak").calls("x.edgeprep", "onnxruntime", calls, None).figures[0]

    return run


def test_a_session_that_keeps_its_pictures_is_told_from_one_that_does_not(soaked):
    keeping = soaked(Keeping(), 3000)
    assert keeping.value == pytest.approx(10_000 * 2 * mmap.PAGESIZE / 1e6, rel=0.1)
    assert not keeping.met
    # What sessions are held to; so many calls that a page more or less is none of it.
    assert keeping.limit == 1.0
    assert soaked(Opened(), 30_000).met


def test_a_session_that_fails_has_no_figures(soaked):
    with pytest.raises(RuntimeError, match=r"^device lost$"):
        soaked(Opened(raises=True), 3000)


@pytest.mark.parametrize("before", [None, "/nowhere"])
def test_where_temporary_files_go_is_afterwards_as_it_was(soaked, monkeypatch, before):
    if before is None:
        monkeypatch.delenv("TMPDIR", raising=False)
    else:
        monkeypatch.setenv("TMPDIR", before)
    soaked(Opened(), 100)
    assert os.environ.get("TMPDIR") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hammer", "tensorrt"], "ENGINE: must be one of onnxruntime, openvino, litert, got"),
        (["hammer", "--answers", "1"], "--answers: must be at least 3, got 1"),
        (["soak", "nights"], "NAME: must be one of calls, cycles, sizes, got 'nights'"),
        (["soak", "--calls", "5"], "--calls: must be at least 100, got 5"),
        (["soak", "--minutes", "0"], "--minutes: must be above 0, got 0.0"),
        (["bench_golden", "resnet-50"], "MODEL: must be one of digits-mobilenet, digits-resnet"),
        (["bench_golden", "--mutations", "0"], "--mutations: must be at least 1, got 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked_for_is_refused(words, said):
    name, *rest = words
    done = subprocess.run(
        [sys.executable, TOOLS / name, *rest], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert said in done.stderr
