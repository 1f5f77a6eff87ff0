"""`edgeprep plugins` and `doctor`: what is on this machine, and what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeprep as package

Run = Callable[..., Any]


def test_plugins_shows_what_each_provides(edgeprep: Run) -> None:
    document = json.loads(edgeprep("plugins", "--format", "json").stdout)
    assert list(document) == ["schema_version", "plugins"]
    fakes = next(plugin for plugin in document["plugins"] if plugin["name"] == "fakes")
    assert fakes == {
        "name": "fakes",
        "distribution": "edgeprep-fakes",
        "version": "1.5",
        "state": "ok",
        "provides": {"backend": ["fakes"], "exporter": ["fake"]},
        "reason": "",
    }
    ended = edgeprep("plugins")
    assert ended.code == 0
    head, *lines = (line.split() for line in ended.stdout.splitlines())
    assert head == ["plugin", "distribution", "version", "state"]
    row, *offers = lines[-3:]
    assert row == ["fakes", "edgeprep-fakes", "1.5", "ok"]
    assert sorted(offers) == [["backend", "fakes"], ["exporter", "fake"]]


@pytest.mark.parametrize("columns", [80, 40])
def test_plugins_wraps_its_many_stages_at_the_width_of_the_terminal(
    edgeprep: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    document = json.loads(edgeprep("plugins", "--format", "json").stdout)
    names = document["plugins"][0]["provides"]["stage"]
    lines = edgeprep("plugins").stdout.splitlines()
    assert lines[1].split() == ["edgeprep.stages", "edgeprep", "ok"]
    end = next(index for index, line in enumerate(lines[2:], 2) if not line.startswith(" "))
    assert max(map(len, lines[2:end])) <= columns
    # None is left out, changed or broken in two.
    assert " ".join(lines[2:end]).split() == ["stage", *names]


def test_plugins_shows_a_broken_one_with_its_reason(
    edgeprep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "edgeprep_broken.py").write_text("import no_such_library\n")
    entries = tmp_path / "site" / "edgeprep_fakes-1.5.dist-info" / "entry_points.txt"
    entries.write_text("[edgeprep]\nfakes = edgeprep_fakes\nbroken = edgeprep_broken\n")
    monkeypatch.setenv("EDGEPREP_PLUGINS", "fakes,broken")
    ended = edgeprep("plugins", "--format", "json")
    assert ended.code == 0
    states = {plugin["name"]: plugin for plugin in json.loads(ended.stdout)["plugins"]}
    assert (states["fakes"]["state"], states["broken"]["state"]) == ("ok", "broken")
    assert "no_such_library" in states["broken"]["reason"]
    text = " ".join(edgeprep("plugins").stdout.split())
    assert f"broken edgeprep-fakes 1.5 broken reason {states['broken']['reason']}" in text


def test_doctor_shows_the_machine_and_its_engines(edgeprep: Run) -> None:
    document = json.loads(edgeprep("doctor", "--format", "json").stdout)
    assert list(document) == ["schema_version", "edgeprep", "machine", "backends"]
    assert document["edgeprep"] == package.__version__
    (backend,) = document["backends"]
    assert backend == {
        "name": "fakes",
        "formats": ["fake"],
        "reason": None,
        "devices": [{"name": "cpu", "kind": "cpu", "description": ""}],
        "absent": [],
        "versions": {"fakes": "1"},
    }
    lines = edgeprep("doctor").stdout.splitlines()
    assert lines[0] == f"edgeprep   {package.__version__}"
    assert lines[-5:] == [
        "backend  formats  devices  state",
        "fakes    fake     cpu      ok",
        "",
        "backend  version of  is",
        "fakes    fakes        1",
    ]


def test_doctor_exits_1_where_no_engine_works(
    edgeprep: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_PLUGINS", "other")
    ended = edgeprep("doctor")
    assert ended.code == 1
    assert ended.stdout.splitlines()[-1] == (
        "no plugin with a backend is installed; pip install edgeprep-onnx[runtime], for example"
    )


def test_a_plugin_that_is_to_be_left_out_and_is_not_there_is_a_line_on_stderr(
    spawn: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPREP_DISABLE_PLUGINS", "nope")
    ended = spawn("doctor")
    assert ended.code == 0
    assert ended.stderr.startswith(
        "EDGEPREP_DISABLE_PLUGINS: must name plugins that are installed, got 'nope'; known here: "
    )
    assert len(ended.stderr.splitlines()) == 1
