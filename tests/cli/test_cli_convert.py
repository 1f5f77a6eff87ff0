"""`edgeprep convert`: what it prints, where the bundle goes, and exit codes."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprep.bundle import open_bundle

Run = Callable[..., Any]
Project = Callable[..., Path]

NOISE = {"an engine says hello", "an exporter says hello"}
# Enough for the last class to win over the first, not enough for parity to refuse it.
COSTLY = "0.28"


def test_machines_get_the_document_that_was_promised(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("convert", project(), "-o", "out.edgeprep", "--format", "json")
    assert ended.code == 0
    document = json.loads(ended.stdout)
    assert document["schema_version"] == 1
    assert document["bundle"] == "out.edgeprep"
    assert document["source"]["metric"] == "accuracy"
    assert document["source"]["value"] == 1.0
    assert [variant["name"] for variant in document["variants"]] == ["fake-fp32", "fake-int8"]
    for variant in document["variants"]:
        assert (variant["format"], variant["size_bytes"]) == ("fake", 4)
        assert set(variant["parity"]) == {"max_abs", "relative"}
        assert variant["parity"]["relative"] < 1e-5
        assert (variant["metric"]["value"], variant["metric"]["drop"]) == (1.0, 0.0)


def test_people_see_a_table_and_on_stderr_the_steps_and_nothing_else(
    edgeprep: Run, project: Project
) -> None:
    ended = edgeprep("convert", project(), "-o", "out.edgeprep")
    assert ended.code == 0
    first, head, exact, quantized, last = ended.stdout.splitlines()
    assert (first, last) == ("source accuracy 1.0000", "out.edgeprep")
    assert head.split() == ["variant", "bytes", "parity", "metric", "value", "drop"]
    assert (exact.split()[0], quantized.split()[0]) == ("fake-fp32", "fake-int8")
    assert exact.split()[-3:] == quantized.split()[-3:] == ["accuracy", "1.0000", "0.0000"]
    steps = [line for line in ended.stderr.splitlines() if line not in NOISE]
    expected = [
        r"load the network: 9 parameters",
        r"read the data, placement 'split': calibration: 24 samples; evaluation: 24 samples",
        r"score the source: accuracy 1\.0000 on 24 samples",
        r"fake-fp32: 4 bytes, parity \S+, accuracy 1\.0000, drop 0\.0000",
        r"fake-int8: 4 bytes, parity \S+, accuracy 1\.0000, drop 0\.0000",
        r"pack: out\.edgeprep, \S+ bytes",
    ]
    assert len(steps) == len(expected)
    for step, pattern in zip(steps, expected, strict=True):
        assert re.fullmatch(rf"✓ {pattern} \(\d+\.\d s\)", step)


def test_quiet_says_nothing(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("convert", project(), "-q")
    assert ended.code == 0
    assert set(ended.stderr.splitlines()) <= NOISE


SAME = {'calibration = { factory = "data:others" }': 'calibration = { factory = "data:pictures" }'}
OVERLAP = (
    "24 of the 24 pictures of data.evaluation are in data.calibration, too, identical to the "
    "pixel; a score on them says little of new pictures"
)


def test_warnings_are_told_to_those_who_want_no_progress_and_to_machines(
    edgeprep: Run, project: Project
) -> None:
    ended = edgeprep("convert", project(SAME), "-q", "--format", "json")
    assert ended.code == 0
    assert json.loads(ended.stdout)["warnings"] == [OVERLAP]
    assert set(ended.stderr.splitlines()) - NOISE == {f"warning: {OVERLAP}"}


def test_marks_are_words_where_a_terminal_has_no_ticks(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    assert "ok load the network: " in edgeprep("convert", project()).stderr


def test_a_step_that_fails_is_crossed_out(edgeprep: Run, project: Project) -> None:
    ended = edgeprep("convert", project({"model:build": "model:number"}))
    step, error = ended.stderr.splitlines()
    assert re.fullmatch(r"✗ load the network: failed \(\d+\.\d s\)", step)
    assert (
        error == "edgeprep: model.factory: 'model:number' must return a torch.nn.Module, got 'int'"
    )


@pytest.mark.parametrize(
    ("words", "path"),
    [([], "small.edgeprep"), (["-o", "there"], "there/small.edgeprep"), (["-o", "x"], "x")],
    ids=["not said", "a directory", "a file"],
)
def test_where_the_bundle_goes(
    edgeprep: Run, project: Project, words: list[str], path: str
) -> None:
    Path("there").mkdir()
    ended = edgeprep("convert", project(), *words)
    assert ended.stdout.splitlines()[-1] == path
    assert open_bundle(path).manifest.name == "small"


def test_export_is_another_name(edgeprep: Run, project: Project) -> None:
    assert edgeprep("export", project(), "-o", "out.edgeprep").code == 0
    assert open_bundle("out.edgeprep").manifest.name == "small"


def test_the_output_is_replaced_only_if_asked(edgeprep: Run, project: Project) -> None:
    Path("out.edgeprep").write_bytes(b"precious")
    ended = edgeprep("convert", project(), "-o", "out.edgeprep")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "edgeprep: out.edgeprep: already exists; pass --overwrite (overwrite=True) to replace it\n"
    )
    assert Path("out.edgeprep").read_bytes() == b"precious"
    assert edgeprep("convert", project(), "-o", "out.edgeprep", "--overwrite").code == 0
    assert open_bundle("out.edgeprep").manifest.name == "small"


BUDGET = '[budget]\nmetric = "accuracy"\nmax_drop = 0.1'


def test_over_budget_exits_3_and_leaves_nothing(
    edgeprep: Run,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    left_behind: Callable[[], list[str]],
) -> None:
    monkeypatch.setenv("FAKES_FAULT", COSTLY)
    ended = edgeprep("convert", project(more=BUDGET))
    assert (ended.code, ended.stdout) == (3, "")
    assert ended.stderr.splitlines()[-1].startswith(
        "edgeprep: budget.max_drop: accuracy may drop by at most 0.1, got fake-int8 0."
    )
    assert left_behind() == []


def test_machines_get_what_was_tried_for_a_budget_that_is_not_kept(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_FAULT", COSTLY)
    ended = edgeprep("convert", project(more=BUDGET), "-q", "--format", "json")
    document = json.loads(ended.stdout)
    assert (ended.code, document["warnings"]) == (3, [])
    assert ended.stderr.splitlines()[-1] == f"edgeprep: {document['error']}"
    first = document["trials"]["fake-int8"][0]
    assert (first["keep_float"], first["calibrator"], first["fault"]) == ([], "min-max", "")
    assert first["drop"] > 0.1


def test_a_variant_that_cannot_be_used_in_any_way_exits_3_where_there_is_a_budget(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKES_FAULT", "2")
    ended = edgeprep("convert", project(more=BUDGET), "-q")
    assert (ended.code, ended.stdout) == (3, "")
    rule, exact, quantized = ended.stderr.splitlines()[-3:]
    assert rule == (
        "edgeprep: budget.max_drop: accuracy may drop by at most 0.1, got 1 of 2 variants that "
        "cannot be used at all:"
    )
    assert re.fullmatch(r"  fake-fp32: 4 bytes, parity \S+, accuracy 1\.0000, drop 0\.0000", exact)
    assert quantized.startswith("  fake-int8: must agree with the source within 5e-01 of its ")


def test_a_conversion_beside_another_one_to_the_same_output_is_refused(
    start: Run, edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = project()
    monkeypatch.setenv("FAKES_PAUSE", "export")
    other = start("convert", recipe, "-o", "out.edgeprep")
    try:
        end = time.monotonic() + 60
        while not Path("paused").exists() and time.monotonic() < end:
            time.sleep(0.05)
        monkeypatch.delenv("FAKES_PAUSE")
        ended = edgeprep("convert", recipe, "-o", "out.edgeprep", "-q")
    finally:
        other.kill()
        other.communicate()
    assert ended.code == 1
    assert ended.stderr == (
        "edgeprep: out.edgeprep: must be written by one conversion at a time, got another one "
        "under way; wait for its end\n"
    )
    assert edgeprep("convert", recipe, "-o", "out.edgeprep", "-q").code == 0


def test_failed_parity_exits_4_and_leaves_nothing(
    edgeprep: Run,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    left_behind: Callable[[], list[str]],
) -> None:
    monkeypatch.setenv("FAKES_FAULT", "2")
    ended = edgeprep("convert", project())
    assert (ended.code, ended.stdout) == (4, "")
    assert ended.stderr.splitlines()[-1] == (
        "edgeprep: fake-int8: must agree with the source within 5e-01 of its largest output, "
        "got 2.00e+00 on 16 samples"
    )
    assert left_behind() == []


def test_without_labelled_samples_agreement_is_named_as_such(
    edgeprep: Run, project: Project
) -> None:
    recipe = project({'evaluation  = { factory = "data:pictures" }': ""})
    ended = edgeprep("convert", recipe, "--format", "json")
    document = json.loads(ended.stdout)
    assert (document["source"]["metric"], document["source"]["value"]) == (None, None)
    metric = document["variants"][0]["metric"]
    assert (metric["name"], metric["value"]) == ("top-1 agreement with the source", 1.0)
    lines = edgeprep("inspect", "small.edgeprep").stdout.splitlines()
    assert "source     not scored: there were no labelled samples" in lines


def test_parity_and_the_relative_error_that_stands_in_are_told_apart(
    edgeprep: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A task without classes: the int8 outputs are 0.1 of the largest away from the source's.
    monkeypatch.setenv("FAKES_FAULT", "0.1")
    labels = {'"classify"\nlabels = ["red", "green", "blue"]': '"tensors"'}
    recipe = project({'evaluation  = { factory = "data:pictures" }': ""} | labels)
    ended = edgeprep("convert", recipe)
    (step,) = (line for line in ended.stderr.splitlines() if "fake-int8" in line)
    assert re.fullmatch(
        r"✓ fake-int8: 4 bytes, parity 1\.0e-01, "
        r"relative error with the source 0\.1000, drop 0\.1000 \(\d+\.\d s\)",
        step,
    )
    # The table says the same.
    (row,) = (line for line in ended.stdout.splitlines() if line.startswith("fake-int8"))
    assert re.split(r"\s{2,}", row) == [
        *("fake-int8", "4", "1.0e-01"),
        *("relative error with the source", "0.1000", "0.1000"),
    ]


def test_verbose_shows_what_libraries_log(edgeprep: Run, project: Project) -> None:
    recipe = project()
    model = recipe.parent / "model.py"
    log = "logging.getLogger('some.library').info('a detail')"
    model.write_text(model.read_text().replace("return Net()", f"{log}\n    return Net()"))
    model.write_text(f"import logging\n{model.read_text()}")
    assert "a detail" not in edgeprep("convert", recipe).stderr
    spoken = edgeprep("convert", recipe, "--overwrite", "-v")
    assert "INFO some.library: a detail" in spoken.stderr.splitlines()
    assert "a detail" not in edgeprep("convert", recipe, "--overwrite").stderr
