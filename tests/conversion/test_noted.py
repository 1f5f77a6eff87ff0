"""Warnings: told once to those who hear them, and again by the step that they are kept with."""

import json
from contextlib import contextmanager

import pytest

from edgeprep.conversion.noted import Noted
from edgeprep.data import WARNING, warn


class Told:
    """What was said in which step."""

    def __init__(self):
        self.steps = []

    @contextmanager
    def __call__(self, title):
        yield lambda text: self.steps.append((title, text))


def test_a_warning_is_told_once_and_noted():
    told = Told()
    noted = Noted(told)
    for text in ("dark", "few", "dark"):
        warn(noted, text)
    assert noted.warnings == ["dark", "few"]
    assert told.steps == [(WARNING, "dark"), (WARNING, "few")]


def test_other_steps_are_told_as_they_are():
    told = Told()
    noted = Noted(told)
    with noted("load") as done:
        done("9 parameters")
    assert (noted.warnings, told.steps) == ([], [("load", "9 parameters")])
    with pytest.raises(KeyError, match="inside"), noted("load"):
        raise KeyError("inside")


def test_what_is_kept_is_told_again_before_anything_else_and_no_second_time(tmp_path):
    warn(Noted(Told(), tmp_path / "warnings.json"), "dark")
    told = Told()
    noted = Noted(told, tmp_path / "warnings.json")
    assert told.steps == [(WARNING, "dark")]
    warn(noted, "dark")
    warn(noted, "few")
    assert told.steps == [(WARNING, "dark"), (WARNING, "few")]
    assert json.loads((tmp_path / "warnings.json").read_text()) == ["dark", "few"]


def test_a_file_that_a_kill_cut_short_is_no_fault(tmp_path):
    (tmp_path / "warnings.json").write_text('["da')
    assert Noted(Told(), tmp_path / "warnings.json").warnings == []
