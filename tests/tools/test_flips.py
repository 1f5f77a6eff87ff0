"""tools/flips: what it says of verdicts."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeprep.errors import BackendCrashed, BackendError, BackendTimeout

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def flips(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("benchmarks.flips")


class Raising:
    """A backend that loads nothing."""

    def __init__(self, error):
        self.error = error

    def devices(self):
        return ["cpu"]

    def options(self, _device, _precision):
        return [{}]

    def load(self, *_):
        raise self.error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (BackendCrashed("worker: ended by SIGSEGV"), "crashed"),
        (BackendTimeout("worker: took over 5 s"), "timeout"),
        (BackendError("engine: no such operator"), "refused"),
        (KeyError("pipe"), "foreign"),
    ],
    ids=["crash", "hang", "refusal", "ours alone are expected"],
)
def test_every_error_is_a_verdict(flips, error, verdict):
    variant = SimpleNamespace(precision="fp32")
    found, seconds = flips.judge(Raising(error), None, None, variant, None)
    assert found == verdict
    assert 0 <= seconds < 5


def test_foreign_errors_and_late_verdicts_miss_their_figures(flips):
    good = flips.summarize("engine", [("right", 0.1), ("crashed", 15.9), ("timeout", 12.0)])
    assert [figure.met for figure in good.figures] == [True, True]
    assert good.notes == ("1 crashed, 1 right, 1 timeout",)
    bad = flips.summarize("engine", [("right", 0.1), ("foreign", 16.1)])
    assert [figure.met for figure in bad.figures] == [False, False]
