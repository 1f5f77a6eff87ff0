"""Opening: which candidate answers, and what is said of the others."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import Manifest
from edgeprep.errors import IncompatibleBundle, InputError, NoUsableBackend, PluginError
from edgeprep.interfaces import Device, DeviceKind
from edgeprep.registry import PluginRecord
from edgeprep.runtime import Session
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.choices import ChoiceCache, cache_directory
from edgeprep.runtime.golden import allowed_error

Picture = NDArray[np.uint8]


def verdicts(session: Session) -> dict[str, str]:
    return {outcome.candidate.backend: outcome.verdict for outcome in session.outcomes}


def reason(session: Session, backend: str) -> str:
    return next(o.reason for o in session.outcomes if o.candidate.backend == backend)


def test_the_fastest_right_candidate_answers(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Right)
    with edgeprep.open(bundle, registry=registry, seconds=0.1) as session:
        assert session.choice.backend == "right"
        assert session(picture).label == "green"
        assert verdicts(session) == {"right": "chosen", "slow": "slower"}
        times = [outcome.timing for outcome in session.outcomes]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0].median_ms < 1.0 < 3.0 <= times[1].median_ms


@pytest.mark.parametrize(
    ("name", "verdict", "why"),
    [
        ("Wrong", "rejected", "wrong numbers: relative error 0.05, allowed 0.001"),
        ("NotANumber", "rejected", "wrong numbers: relative error inf, allowed 0.001"),
        ("Refusing", "rejected", "refusing: must be a model of version 2, got version 3"),
        ("Raising", "rejected", "RuntimeError('device lost')"),
        ("Failing", "rejected", "RuntimeError('device lost')"),
        ("Broken", "unavailable", "OSError: no driver"),
        (
            "Deviceless",
            "unavailable",
            "OSError: libcuda.so.1: cannot open shared object file",
        ),
        (
            "Absent",
            "unavailable",
            (
                "backend 'absent' needs no_such_engine, which is not installed; "
                "pip install edgeprep-absent[runtime]"
            ),
        ),
    ],
)
def test_a_bad_candidate_is_left_out_with_the_reason_and_the_next_one_answers(
    bundle: Path, fakes: SimpleNamespace, picture: Picture, name: str, verdict: str, why: str
) -> None:
    bad = getattr(fakes, name)
    registry = fakes.registry(bad, fakes.Slow)
    with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
        assert session.choice.backend == "slow"
        assert verdicts(session)[bad.name] == verdict
        assert reason(session, bad.name) == why
        assert why in session.explain()
        assert session(picture).label == "green"


def test_a_bundle_that_nothing_can_run_is_refused_with_every_reason(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    with pytest.raises(NoUsableBackend, match="at least one candidate") as fault:
        edgeprep.open(bundle, registry=fakes.registry(fakes.Refusing, fakes.Absent))
    assert str(fault.value) == (
        f"{bundle}: at least one candidate must run on this machine, got none\n"
        "  fake-fp32 refusing cpu threads=1: rejected, "
        "refusing: must be a model of version 2, got version 3\n"
        "  fake-fp32 absent: unavailable, backend 'absent' needs no_such_engine, which is not "
        "installed; pip install edgeprep-absent[runtime]"
    )


def test_a_format_that_no_plugin_runs_names_what_to_install(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    with pytest.raises(NoUsableBackend, match="no backend for format 'fake'") as fault:
        edgeprep.open(bundle, registry=fakes.registry())
    assert "pip install edgeprep-fake[runtime]" in str(fault.value)


@pytest.mark.parametrize(
    ("plugin", "remedy"),
    [
        (
            PluginRecord(
                name="fake",
                distribution="edgeprep-fake",
                state="disabled",
                reason="not on the list",
            ),
            "plugin 'fake' is disabled: not on the list",
        ),
        (
            PluginRecord(
                name="fake", distribution="edgeprep-fake", state="broken", reason="no libfake.so"
            ),
            "plugin 'fake' is broken: no libfake.so",
        ),
        (
            PluginRecord(name="x", distribution="edgeprep-x", state="broken", reason="SyntaxError"),
            "pip install edgeprep-fake[runtime]; plugin 'x' is broken: SyntaxError",
        ),
        (
            PluginRecord(name="x", distribution="edgeprep-x", state="disabled", reason="named"),
            "pip install edgeprep-fake[runtime]",
        ),
    ],
    ids=["disabled", "broken", "another broken", "another disabled"],
)
def test_a_format_whose_plugin_is_left_out_says_why(
    bundle: Path,
    fakes: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    plugin: PluginRecord,
    remedy: str,
) -> None:
    registry = fakes.registry()
    monkeypatch.setattr(registry, "plugins", lambda: (plugin,))
    message = re.escape(f"unavailable, no backend for format 'fake'; {remedy}")
    with pytest.raises(NoUsableBackend, match=f"{message}$"):
        edgeprep.open(bundle, registry=registry)


def test_plugins_beside_a_registry_are_refused(bundle: Path, fakes: SimpleNamespace) -> None:
    with pytest.raises(PluginError, match=r"^plugins: must not be given beside a registry, got "):
        edgeprep.open(bundle, plugins=["onnx"], registry=fakes.registry(fakes.Right))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"chain": ({"use": "dehaze@3"},)},
            "preprocess[0].use: unknown stage 'dehaze@3'; known here: 'resize@1', ",
        ),
        ({"chain": ({"use": "scale@1", "by": 2},)}, "preprocess[0].by: unknown key"),
        ({"task": {"use": "pose"}}, "unknown task 'pose'; known here: 'classify', "),
    ],
    ids=["stage", "option", "task"],
)
def test_a_bundle_made_with_plugins_that_are_not_here_is_incompatible(
    write: Callable[[Manifest], Path],
    manifest: Manifest,
    fakes: SimpleNamespace,
    change: dict[str, Any],
    reason: str,
) -> None:
    path = write(replace(manifest, **change))
    message = f"{path}: must have stages and a task that are installed here, got {reason}"
    with pytest.raises(IncompatibleBundle, match=f"^{re.escape(message)}"):
        edgeprep.open(path, registry=fakes.registry(fakes.Right))


def test_losers_are_closed_and_the_winner_with_its_session(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Right, fakes.Wrong)
    session = edgeprep.open(bundle, registry=registry, seconds=0.01)
    assert fakes.Right.open_runners == ["right"]
    session.close()
    assert fakes.Right.open_runners == []


def test_what_is_measured_is_writable_as_frames_are(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    writable: list[bool] = []
    compute = fakes.Right.compute

    def note(self: object, image: Picture) -> Picture:
        writable.append(image.flags.writeable)
        return compute(self, image)

    monkeypatch.setattr(fakes.Right, "compute", note)
    measure_all(bundle, registry=fakes.registry(fakes.Right), rounds=1)
    samples = 4
    assert writable[:samples] == [False] * samples
    assert all(writable[samples:])
    assert writable[samples:]


def test_an_engine_may_have_a_word_for_its_threads(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ({"threads": "one"}, {"threads": "auto"})
    monkeypatch.setattr(fakes.Slow, "options", lambda self, device, precision: words)
    with edgeprep.open(bundle, registry=fakes.registry(fakes.Slow), seconds=0.01) as session:
        assert session.choice.options in words


def test_a_loser_that_cannot_be_closed_is_said_and_does_no_harm(
    bundle: Path, fakes: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    registry = fakes.registry(fakes.Clinging, fakes.Right)
    with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
        assert verdicts(session) == {"right": "chosen", "clinging": "slower"}
    assert caplog.messages == ["a runner could not be closed: RuntimeError('device busy')"]


def test_a_bundle_whose_only_engine_fails_while_it_is_measured_is_refused(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    for run in (edgeprep.open, measure_all):
        with pytest.raises(NoUsableBackend, match=r"rejected, RuntimeError\('device lost'\)"):
            run(bundle, registry=fakes.registry(fakes.Failing))
    assert fakes.Right.open_runners == []


# In the proof: its first sample, its last one; while it is measured: alone, against another.
@pytest.mark.parametrize("last", [1, 4, 20, 60])
@pytest.mark.parametrize("order", [("Slow", "Right"), ("Right", "Slow")], ids=" ".join)
@pytest.mark.parametrize("run", [edgeprep.open, measure_all])
def test_an_interrupt_leaves_nothing_loaded(
    bundle: Path,
    fakes: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., object],
    order: tuple[str, ...],
    last: int,
) -> None:
    compute, calls = fakes.Right.compute, 0

    def interrupted(self: object, image: Picture) -> Picture:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt("control-C")
        return compute(self, image)

    monkeypatch.setattr(fakes.Right, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^control-C$"):
        run(bundle, registry=fakes.registry(*(getattr(fakes, name) for name in order)))
    assert fakes.Right.open_runners == []


def test_an_interrupt_while_a_choice_is_recalled_leaves_nothing_loaded(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, image: Picture) -> Picture:
        raise KeyboardInterrupt("control-C")

    registry = fakes.registry(fakes.Right)
    edgeprep.open(bundle, registry=registry, seconds=0.01).close()
    monkeypatch.setattr(fakes.Right, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^control-C$"):
        edgeprep.open(bundle, registry=registry)
    assert fakes.Right.open_runners == []


def test_an_interrupt_while_the_choice_is_stored_leaves_nothing_loaded(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: ChoiceCache, outcomes: object, verdicts_at: object) -> None:
        raise KeyboardInterrupt("control-C")

    monkeypatch.setattr(ChoiceCache, "store", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^control-C$"):
        edgeprep.open(bundle, registry=fakes.registry(fakes.Right), seconds=0.01)
    assert fakes.Right.open_runners == []


def test_benchmark_closes_all_that_it_opened(bundle: Path, fakes: SimpleNamespace) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Failing, fakes.Right)
    _, outcomes = measure_all(bundle, registry=registry, rounds=1)
    found = [(outcome.candidate.backend, outcome.verdict) for outcome in outcomes]
    assert found == [("right", "chosen"), ("slow", "slower"), ("failing", "rejected")]
    assert fakes.Right.open_runners == []


def test_a_benchmark_of_no_rounds_is_refused(bundle: Path, fakes: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=r"^rounds: must be at least 1, got 0$"):
        measure_all(bundle, registry=fakes.registry(fakes.Right), rounds=0)


def test_preferring_a_backend_excludes_the_others_by_name(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Right)
    with edgeprep.open(bundle, prefer="SLOW", registry=registry, seconds=0.01) as session:
        assert session.choice.backend == "slow"
        assert reason(session, "right") == "prefer='SLOW'"


def test_preferring_what_is_not_there_is_refused_with_what_is(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    with pytest.raises(NoUsableBackend, match="right cpu threads=1: excluded, prefer='npu'"):
        edgeprep.open(bundle, prefer="npu", registry=fakes.registry(fakes.Right))


def test_without_probing_the_first_right_one_answers_and_nothing_is_remembered(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(fakes.Wrong, fakes.Slow, fakes.Right)
    with edgeprep.open(bundle, probe=False, registry=registry) as session:
        assert verdicts(session) == {"slow": "chosen", "wrong": "rejected", "right": "unmeasured"}
        assert session.outcomes[0].timing is None
    assert not (Path(cache_directory()) / "choices").exists()


def test_reduced_precision_is_taken_where_its_drop_is_inside_the_budget(
    write: Callable[[Manifest], Path], manifest: Manifest, fakes: SimpleNamespace
) -> None:
    def opened(drop: dict[str, float]) -> Session:
        variant = replace(manifest.variants[0], reduced=drop)
        path = write(replace(manifest, variants=(variant,), max_drop=0.01))
        return edgeprep.open(path, registry=fakes.registry(fakes.Reduced), seconds=0.01)

    with opened({"bf16": 0.004}) as session:
        assert dict(session.choice.options) == {"precision": "bf16"}
    with opened({"bf16": 0.02}) as session:
        assert dict(session.choice.options) == {"precision": "f32"}
        assert session.outcomes[1].reason == "bf16 drops 0.0200, at most 0.01 is allowed"


def test_reduced_precision_may_lose_nothing_where_there_is_no_budget(
    write: Callable[[Manifest], Path], manifest: Manifest, fakes: SimpleNamespace
) -> None:
    def choice(drop: float) -> dict[str, object]:
        variant = replace(manifest.variants[0], reduced={"bf16": drop})
        path = write(replace(manifest, variants=(variant,)))
        registry = fakes.registry(fakes.Reduced)
        with edgeprep.open(path, registry=registry, seconds=0.01) as session:
            return dict(session.choice.options)

    assert choice(0.0) == {"precision": "bf16"}
    assert choice(0.001) == {"precision": "f32"}


@pytest.mark.parametrize(("scored", "error"), [(True, 0.05), (False, 0.001)])
def test_a_hint_that_was_not_scored_must_reproduce_the_golden_outputs_like_the_rest(
    manifest: Manifest, scored: bool, error: float
) -> None:
    variant = replace(manifest.variants[0], reduced={"bf16": 0.0} if scored else {})
    assert allowed_error(variant, {"precision": "bf16"}) == error
    assert allowed_error(variant, {"precision": "f32"}) == 0.001
    assert allowed_error(variant, {}) == 0.001


def test_an_accelerator_may_round_integers_otherwise_and_nothing_else(manifest: Manifest) -> None:
    exact, quantized = (replace(manifest.variants[0], precision=p) for p in ("fp32", "int8"))
    found = {
        (variant.precision, kind): allowed_error(variant, {}, kind)
        for variant in (exact, quantized)
        for kind in get_args(DeviceKind)
    }
    assert found == {
        **{("fp32", kind): 0.001 for kind in ("cpu", "gpu", "npu", "dsp")},
        ("int8", "cpu"): 0.001,
        **{("int8", kind): 0.1 for kind in ("gpu", "npu", "dsp")},
    }


@pytest.mark.parametrize(
    ("name", "kind", "is_rejected"), [("xnnpack", "cpu", True), ("cpu.1", "npu", False)]
)
def test_what_a_device_may_round_is_said_by_its_kind_and_not_by_its_name(
    write: Callable[[Manifest], Path],
    manifest: Manifest,
    fakes: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: DeviceKind,
    is_rejected: bool,
) -> None:
    class Rounding(fakes.Wrong):  # type: ignore[misc,name-defined]
        def devices(self) -> tuple[Device, ...]:
            return (Device(name=name, kind=kind),)

    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    variant = replace(manifest.variants[0], precision="int8")
    path = write(replace(manifest, variants=(variant,)))
    _, outcomes = measure_all(path, rounds=1, registry=fakes.registry(Rounding, fakes.Right))
    (found,) = (one for one in outcomes if one.candidate.backend == "wrong")
    assert (found.kind, found.verdict == "rejected") == (kind, is_rejected)


@pytest.mark.parametrize(
    ("machine", "options", "error"),
    [
        ("x86_64", {"threads": 1}, 0.001),
        ("x86_64", {"rounding": "own"}, 0.1),
        ("aarch64", {"threads": 1}, 0.1),
    ],
)
def test_other_processors_and_kernels_may_round_integers_otherwise_and_nothing_else(
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    options: dict[str, str | int],
    error: float,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    exact, quantized = (replace(manifest.variants[0], precision=p) for p in ("fp32", "int8"))
    assert allowed_error(exact, options) == 0.001
    assert allowed_error(quantized, options) == error


def test_benchmark_measures_all_that_are_right_and_keeps_the_reasons_of_the_others(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(fakes.Slow, fakes.Wrong, fakes.Right, fakes.Absent)
    name, outcomes = measure_all(bundle, rounds=2, registry=registry)
    assert name == "means"
    assert [(o.candidate.backend, o.verdict) for o in outcomes] == [
        ("right", "chosen"),
        ("slow", "slower"),
        ("wrong", "rejected"),
        ("absent", "unavailable"),
    ]


def test_an_outcome_as_json_has_the_promised_keys(bundle: Path, fakes: SimpleNamespace) -> None:
    _, outcomes = measure_all(bundle, rounds=1, registry=fakes.registry(fakes.Right))
    document = json.loads(json.dumps(outcomes[0].to_json()))
    assert {key: document[key] for key in ("variant", "backend", "device", "kind", "options")} == {
        "variant": "fake-fp32",
        "backend": "right",
        "device": "cpu",
        "kind": "cpu",
        "options": {"threads": 1},
    }
    assert document["verdict"] == "chosen"
    assert 0 < document["median_ms"] <= document["p90_ms"]
    assert document["reason"] == "the fastest that computes the right numbers"


def test_explain_is_a_table_with_the_winner_first(bundle: Path, fakes: SimpleNamespace) -> None:
    registry = fakes.registry(fakes.Wrong, fakes.Right)
    with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
        title, head, *rows = session.explain().splitlines()
    assert title == "means: 2 candidates, measured now"
    assert head.split()[:5] == ["verdict", "variant", "backend", "device", "options"]
    assert [row.split()[:5] for row in rows] == [
        ["chosen", "fake-fp32", "right", "cpu", "threads=1"],
        ["rejected", "fake-fp32", "wrong", "cpu", "threads=1"],
    ]
