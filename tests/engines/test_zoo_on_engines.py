"""The main job on real engines: one model, three formats, two precisions, the same answers."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import Result
from edgeprep.runtime.benchmark import measure_all

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Pictures = list[tuple[NDArray[np.uint8], int]]

ENGINES = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "tflite"}


def test_all_six_variants_agree_with_the_source_and_keep_the_budget(result: Result) -> None:
    names = [variant.name for variant in result.variants]
    assert names == [f"{form}-{p}" for form in ENGINES.values() for p in ("fp32", "int8")]
    for variant in result.variants:
        assert variant.metric is not None
        assert variant.metric.samples >= 1000
        assert variant.metric.drop <= 0.01, variant.name
        if variant.precision == "fp32":
            assert variant.parity.relative <= 1e-4, variant.name


def test_the_document_of_a_conversion_has_the_promised_keys(result: Result) -> None:
    document = json.loads(json.dumps(result.to_json()))
    assert set(document) >= {"bundle", "source", "variants"}
    assert set(document["source"]) >= {"metric", "value"}
    for variant in document["variants"]:
        assert set(variant) >= {"name", "format", "precision", "size_bytes", "parity", "metric"}
        assert set(variant["parity"]) == {"max_abs", "relative"}
        assert set(variant["metric"]) >= {"value", "drop"}


def test_every_candidate_of_this_machine_computes_the_right_numbers(result: Result) -> None:
    _, outcomes = measure_all(result.bundle, rounds=1)
    assert {outcome.candidate.variant for outcome in outcomes} == {
        variant.name for variant in result.variants
    }
    assert [(str(o.candidate), o.reason) for o in outcomes if o.verdict == "rejected"] == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_four_threads_share_a_session_and_every_answer_is_right(
    result: Result, pictures: Pictures, engine: str, precision: str
) -> None:
    variant = f"{ENGINES[engine]}-{precision}"
    with edgeprep.open(result.bundle, prefer=variant, probe=False) as session:
        assert (session.choice.backend, session.choice.variant) == (engine, variant)
        expected = [session.outputs(picture)[0] for picture, _ in pictures]
        wrong: list[str] = []

        def hammer(seed: int) -> None:
            for index in np.random.default_rng(seed).integers(0, len(pictures), 500):
                (logits,) = session.outputs(pictures[index][0])
                if not np.allclose(logits, expected[index], rtol=0, atol=1e-4):
                    wrong.append(f"thread {seed}, picture {index}")

        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    # The expected answers themselves must differ, or a mixed-up one would pass.
    assert np.ptp(np.stack(expected), axis=0).max() > 1.0


@pytest.mark.parametrize("engine", ENGINES)
def test_held_out_digits_are_read_as_users_open_a_bundle_and_no_process_is_left(
    result: Result, pictures: Pictures, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def popen(*given: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(begin(*given, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    # As it is outside of these tests: candidates are tried in workers.
    monkeypatch.delenv("EDGEPREP_ISOLATE")
    with edgeprep.open(result.bundle, prefer=engine, seconds=0.1) as session:
        assert started
        # What was chosen answers here, so that they have ended, and are waited for.
        assert [process.returncode for process in started] == [-signal.SIGKILL] * len(started)
        right = [session(picture).label == str(label) for picture, label in pictures]
        tried = [each for each in session.outcomes if each.candidate.backend == engine]
        assert (tried[0].candidate, tried[0].kind) == (session.choice, "cpu")
        assert {each.candidate.variant for each in tried if each.timing} == {
            f"{ENGINES[engine]}-{precision}" for precision in ("fp32", "int8")
        }
        assert {each.verdict for each in tried if each.candidate.variant} <= {
            "chosen",
            "slower",
            "unmeasured",
            "excluded",
        }
        assert (session.health().state, session.events.kept) == ("ok", ())
    # The model is right on 97 % at least; 64 pictures are too few to ask for more than 90 %.
    assert sum(right) >= 0.9 * len(right)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bundle_destroyed_under_a_running_session_changes_no_answer(
    result: Result, pictures: Pictures, engine: str, tmp_path: Path
) -> None:
    path = tmp_path / "copy.edgeprep"
    path.write_bytes(result.bundle.read_bytes())
    picture = pictures[0][0]
    with edgeprep.open(path, prefer=engine, probe=False) as session:
        (before,) = session.outputs(picture)
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size // 2))
            file.truncate()
        for _ in range(100):
            np.testing.assert_array_equal(session.outputs(picture)[0], before)


def test_plugins_that_are_not_allowed_are_named(result: Result) -> None:
    with edgeprep.open(result.bundle, plugins=["onnx"], seconds=0.1) as session:
        assert session.choice.backend == "onnxruntime"
        explained = session.explain()
    for name in ("openvino", "tflite"):  # the format and its plugin
        reason = f"plugin {name!r} is disabled: not on the list of allowed plugins"
        assert f"no backend for format {name!r}; {reason}" in explained


def test_preprocessing_is_inside_and_a_session_takes_any_size(
    result: Result, pictures: Pictures
) -> None:
    manifest = open_bundle(result.bundle).manifest
    assert [stage["use"] for stage in manifest.chain][:2] == ["resize@1", "normalize@1"]
    assert {variant.input.dtype for variant in manifest.variants} == {"uint8"}
    sizes = {picture.shape for picture, _ in pictures}
    assert len(sizes) > 10
