"""tools/tally.py: steps that fail say why."""

from importlib import import_module
from types import SimpleNamespace

import pytest


@pytest.fixture
def tally(environment, monkeypatch, tmp_path):
    module = import_module("tally")
    monkeypatch.setattr(module, "OUTPUT", tmp_path)
    return module


def test_tests_without_a_report_have_failed(tally, environment, monkeypatch, capsys):
    monkeypatch.setattr(tally, "run", lambda *_, **__: "")
    work = SimpleNamespace(name="work", program=str)
    rule = r"^pytest: must leave a report, got no work\.xml$"
    with pytest.raises(environment.Failed, match=rule):
        tally.Tally().pytest(work, "tests")
    steps = tally.Tally()
    with pytest.raises(SystemExit, match=r"^1$"):
        steps.step("tests", lambda: steps.pytest(work, "tests"))
    assert "must leave a report, got no work.xml" in capsys.readouterr().out
