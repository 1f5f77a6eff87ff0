"""Several networks as one session: what is joined, what is shared, and what is refused."""

import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import (
    EnsembleManifest,
    Learnt,
    Manifest,
    Part,
    SourceRecord,
    write_ensemble,
)
from edgeprep.errors import (
    BundleError,
    BundleFormatError,
    ClosedError,
    DTypeError,
    ForkedRunnerError,
    IncompatibleBundle,
    InputError,
    NonFiniteOutput,
    NoUsableBackend,
    PreferenceError,
)
from edgeprep.runtime import Session
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.ensemble_session import EnsembleSession
from edgeprep.stages.chain import Chain
from edgeprep.tensors import ImageSpec, TensorSpec

Picture = NDArray[np.uint8]
Write = Callable[..., Path]

# Members as tests change them: by default two that scale pictures, and differ in their scores.
PLAIN: Mapping[str, Any] = {"name": "plain"}
SURE: Mapping[str, Any] = {
    "name": "sure",
    "task": {"use": "classify", "labels": ["red", "green", "blue"], "scores": "sigmoid"},
}


@pytest.fixture
def ensemble(
    write: Callable[[Manifest], Path], manifest: Manifest, tmp_path: Path
) -> Callable[..., Path]:
    """Packs an ensemble of bundles of the fake engine, each with changes to its manifest."""

    def pack(*members: Mapping[str, Any], **changes: Any) -> Path:
        parts, contents = [], {}
        for index, change in enumerate(members):
            given = dict(change)
            weight, prefer = given.pop("weight", 1.0), given.pop("prefer", "")
            one = replace(manifest, **given)
            name = f"parts/{index}.edgeprep"
            contents[name] = write(one).read_bytes()
            parts.append(Part(name=one.name, bundle=name, weight=weight, prefer=prefer))
        contents |= changes.pop("contents", {})
        whole = EnsembleManifest(
            name="together",
            created_with={"edgeprep": "0.1.0"},
            recipe_sha256="cd" * 32,
            task=manifest.task,
            input=manifest.input,
            combine={"use": "average"},
            parts=tuple(parts),
            score=SourceRecord(),
        )
        path = tmp_path / "together.edgeprep"
        write_ensemble(path, replace(whole, **changes), contents, overwrite=True)
        return path

    return pack


@pytest.fixture
def session(ensemble: Write, fakes: SimpleNamespace) -> Any:
    with edgeprep.open(ensemble(PLAIN, SURE), registry=fakes.registry(fakes.Right)) as session:
        yield session


def test_it_is_a_session_and_names_all_that_answers(session: EnsembleSession) -> None:
    assert isinstance(session, Session)
    assert (session.name, session.input) == ("together", ImageSpec(height=4, width=4))
    assert (session.task.name, session.streams_only) == ("classify", False)
    assert session.names == ("plain", "sure")
    first, *others = session.outcomes
    assert (str(first.candidate), first.verdict) == ("ensemble average", "chosen")
    assert [str(one.candidate) for one in others] == [
        "plain/fake-fp32 right cpu threads=1",
        "sure/fake-fp32 right cpu threads=1",
    ]
    assert str(session.choice) == "ensemble average"


def test_members_are_decoded_by_their_own_tasks_and_joined(
    session: EnsembleSession, picture: Picture
) -> None:
    # All of the picture is [10, 200, 30], whose means are the outputs: nearly 1 for green by
    # softmax, and nearly 1 for every class by sigmoid of 10, 200 and 30.
    sigmoid = 1 / (1 + np.exp(-np.array([10.0, 200.0, 30.0])))
    result = session(picture)
    np.testing.assert_allclose(result.scores, (np.array([0.0, 1.0, 0.0]) + sigmoid) / 2, atol=1e-12)
    assert result.label == "green"


def test_each_member_counts_its_steps_and_the_ensemble_whole_calls(
    session: EnsembleSession, picture: Picture
) -> None:
    for _ in range(3):
        session(picture)
    with pytest.raises(DTypeError, match="float32"):
        session(picture.astype(np.float32))
    found = session.metrics()
    assert {step: each.count for step, each in found.steps.items()} == {"total": 3}
    assert found.errors == {"DTypeError": 1}
    assert list(found.members) == ["plain", "sure"]
    # The first one prepares for both.
    plain, sure = found.members.values()
    counts = [{step: each.count for step, each in one.steps.items()} for one in (plain, sure)]
    assert counts == [{"prepare": 3, "run": 3, "decode": 3}, {"run": 3, "decode": 3}]
    assert (plain.errors, sure.errors) == ({"DTypeError": 1}, {})
    assert found.to_json()["members"]["sure"]["session"] == "sure"
    assert session.drift().reason.startswith("the bundle has no reference")


def test_weights_say_how_much_each_counts(
    ensemble: Write, fakes: SimpleNamespace, picture: Picture
) -> None:
    path = ensemble({**PLAIN, "weight": 3.0}, SURE)
    with edgeprep.open(path, registry=fakes.registry(fakes.Right)) as session:
        scores = session(picture).scores
    assert scores[0] == pytest.approx(0.25 / (1 + np.exp(-10.0)), abs=1e-12)


def test_what_a_combiner_has_learnt_is_what_joins(
    ensemble: Write, fakes: SimpleNamespace, picture: Picture
) -> None:
    weights, bias = np.zeros((3, 6), "<f4"), np.array([0, 0, np.log(2)], "<f4")
    learnt = tuple(
        Learnt(
            array=TensorSpec(name=name, shape=array.shape, dtype="float32"),
            member=f"combine/{name}.bin",
        )
        for name, array in (("weights", weights), ("bias", bias))
    )
    contents = {"combine/weights.bin": weights.tobytes(), "combine/bias.bin": bias.tobytes()}
    path = ensemble(PLAIN, SURE, combine={"use": "stack"}, learnt=learnt, contents=contents)
    with edgeprep.open(path, registry=fakes.registry(fakes.Right)) as session:
        np.testing.assert_allclose(session(picture).scores, [0.25, 0.25, 0.5], rtol=1e-6)


@pytest.fixture
def resized(manifest: Manifest) -> Mapping[str, Any]:
    """A member that takes pictures of any size, and resizes them on the host."""
    return {
        "name": "resized",
        "input": ImageSpec(),
        "chain": ({"use": "resize@1", "size": [4, 4]}, {"use": "scale@1"}),
        "variants": tuple(replace(one, placement="split") for one in manifest.variants),
        "golden": tuple(replace(one, placement="split") for one in manifest.golden),
    }


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Chain]:
    """The chains that have prepared a picture, in their order."""
    seen: list[Chain] = []
    prepare = Chain.prepare

    def noted(self: Chain, *given: Any) -> Any:
        seen.append(self)
        return prepare(self, *given)

    monkeypatch.setattr(Chain, "prepare", noted)
    return seen


def test_members_that_get_the_same_from_the_host_share_it(
    ensemble: Write, fakes: SimpleNamespace, prepared: list[Chain], resized: Mapping[str, Any]
) -> None:
    # Their graphs are others, their hosts are one.
    half = {"use": "normalize@1", "mean": [0.5] * 3, "std": [0.5] * 3}
    other = {**resized, "name": "other", "chain": (resized["chain"][0], half)}
    path = ensemble(resized, other, PLAIN, input=ImageSpec(height=4, width=4))
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        prepared.clear()
        session(np.zeros((4, 4, 3), np.uint8))
        assert [len(chain.stages) for chain in prepared] == [1, 0]
        explained = session.explain()
    assert "member[1], weight 1, takes what member[0] has prepared" in explained


def test_a_batch_is_checked_before_it_runs(session: EnsembleSession, picture: Picture) -> None:
    results = session.batch([picture, picture[..., ::-1]])
    assert [result.label for result in results] == ["green", "green"]
    with pytest.raises(InputError, match=r"^pictures\[1\]: must have shape \(4, 4, 3\)"):
        session.batch([picture, picture[:3]])


def test_outputs_are_those_of_members(session: EnsembleSession, picture: Picture) -> None:
    assert isinstance(session, edgeprep.runtime.EnsembleSession)
    assert [one.outputs(picture)[0].tolist() for one in session.members] == [[[10, 200, 30]]] * 2
    rule = "session 'together': must be of one network, got an ensemble of 2"
    message = f"{rule}; ask session.members[0].outputs(picture)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        session.outputs(picture)
    message = f"{rule}; ask session.members[0].backward(height, width)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        session.backward(4, 4)


def test_explain_has_a_table_for_each_member(session: EnsembleSession) -> None:
    lines = session.explain().splitlines()
    assert lines[0] == "together: 2 members, average"
    assert lines[1:4] == [
        "",
        "member[0], weight 1",
        "plain: 1 candidates, measured now",
    ]
    assert "sure: 1 candidates, measured now" in lines


def test_a_stream_gives_a_result_for_every_picture(
    session: EnsembleSession, picture: Picture
) -> None:
    stream = session.stream([picture, picture], fps=25.0)
    assert [result.label for result in stream] == ["green", "green"]
    stream = session.stream(iter([picture, picture]))
    next(stream)
    stream.close()
    assert list(stream) == []


FILM: Mapping[str, Any] = {"chain": ({"use": "frame-difference@1"}, {"use": "scale@1"})}


@pytest.fixture
def film(manifest: Manifest) -> Mapping[str, Any]:
    """A member whose host looks at the picture before."""
    return {
        **FILM,
        "name": "film",
        "variants": tuple(replace(one, placement="host") for one in manifest.variants),
        "golden": tuple(replace(one, placement="host") for one in manifest.golden),
    }


def test_members_that_look_back_are_given_streams(
    ensemble: Write, fakes: SimpleNamespace, film: Mapping[str, Any], picture: Picture
) -> None:
    path = ensemble(film, {**film, "name": "again"}, PLAIN)
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        assert session.streams_only
        message = "session 'film': pictures must come in a stream, as the preprocessing looks at "
        with pytest.raises(InputError, match=f"^{re.escape(message)}"):
            session(picture)
        dark = picture // 10
        stream = session.stream([dark, picture, dark])
        # The first picture is no change: all that two members see is black.
        np.testing.assert_allclose(next(stream).scores[0], 2 / 9, atol=1e-6)
        np.testing.assert_allclose(next(stream).scores[1], 1.0, atol=1e-6)
        stream.reset()
        np.testing.assert_allclose(next(stream).scores[0], 2 / 9, atol=1e-6)


def test_what_threads_work_out_is_what_comes_one_by_one(
    ensemble: Write, fakes: SimpleNamespace, film: Mapping[str, Any], picture: Picture
) -> None:
    path = ensemble(film, {**film, "name": "again"}, SURE)
    pictures = [picture // 10, picture, picture // 3, picture // 2, picture]
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        one_by_one = [result.scores for result in session.stream(pictures)]
        with session.stream(pictures, policy="every") as stream:
            at_once = [answer.result.scores for answer in stream]
    np.testing.assert_array_equal(at_once, one_by_one)
    assert len({tuple(scores) for scores in at_once}) > 1


def test_a_picture_is_prepared_once_for_streams_too(
    ensemble: Write,
    fakes: SimpleNamespace,
    film: Mapping[str, Any],
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgeprep.stages.frame_difference import FrameDifference

    steps: list[int] = []
    step = FrameDifference.step

    def noted(self: FrameDifference, *given: Any) -> Any:
        steps.append(1)
        return step(self, *given)

    monkeypatch.setattr(FrameDifference, "step", noted)
    path = ensemble(film, {**film, "name": "again"})
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        steps.clear()
        assert len(list(session.stream([picture] * 3))) == 3
    assert len(steps) == 3


def test_where_one_member_drops_a_picture_there_is_no_result(
    ensemble: Write, fakes: SimpleNamespace, film: Mapping[str, Any], picture: Picture
) -> None:
    every = {**film, "name": "every", "chain": ({"use": "frames@1", "every": 2},)}
    path = ensemble(every, PLAIN)
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        results = list(session.stream([picture] * 4))
    assert [result is None for result in results] == [False, True, False, True]


def test_a_clock_is_read_once_a_picture(
    ensemble: Write, fakes: SimpleNamespace, film: Mapping[str, Any], picture: Picture
) -> None:
    # Every reading is half a second after the one before: as slow as members are.
    read = itertools.count(0.0, 0.5)
    first = {**film, "name": "first", "chain": ({"use": "frames@1", "rate": 1.0},)}
    second = {**first, "name": "second", "chain": (*first["chain"], {"use": "scale@1"})}
    path = ensemble(first, second)
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        results = list(session.stream([picture] * 5, clock=lambda: next(read)))
    assert [result is None for result in results] == [False, True, False, True, False]
    assert next(read) == 2.5


def test_a_picture_that_is_refused_is_prepared_once(
    ensemble: Write,
    fakes: SimpleNamespace,
    film: Mapping[str, Any],
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edgeprep.stages.frame_difference import FrameDifference

    steps: list[int] = []

    def refuse(self: FrameDifference, *given: Any) -> Any:
        steps.append(1)
        raise InputError("picture: must be another, got this one")

    path = ensemble(film, {**film, "name": "again"})
    with edgeprep.open(path, probe=False, registry=fakes.registry(fakes.Right)) as session:
        monkeypatch.setattr(FrameDifference, "step", refuse)
        stream = session.stream([picture, picture])
        for count in (1, 2):
            with pytest.raises(InputError, match=r"^picture: must be another, got this one$"):
                next(stream)
            assert len(steps) == count


class Spoiling:
    """What makes a fake of a backend that answers NaN to white pictures."""

    @staticmethod
    def of(right: Any) -> Any:
        class Spoilt(right):  # type: ignore[misc]
            name = "spoilt"

            def compute(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
                means: NDArray[np.float32] = super().compute(image)
                return means * np.float32("nan") if image.min() == 255 else means

        return Spoilt


def test_a_member_without_a_finite_answer_is_named_and_the_stream_goes_on(
    ensemble: Write, fakes: SimpleNamespace, film: Mapping[str, Any], picture: Picture
) -> None:
    registry = fakes.registry(Spoiling.of(fakes.Right))
    with edgeprep.open(ensemble(PLAIN, film), probe=False, registry=registry) as session:
        stream = session.stream([picture, np.full((4, 4, 3), 255, np.uint8), picture])
        next(stream)
        message = r"^session 'plain': pictures\[1\]: output 'logits' of fake-fp32 spoilt cpu"
        with pytest.raises(NonFiniteOutput, match=message):
            next(stream)
        # What the other member has remembered is the white picture.
        np.testing.assert_allclose(next(stream).scores[0], 0.5, atol=1e-6)


def test_an_ensemble_counts_the_errors_of_its_streams_as_those_of_its_calls(
    ensemble: Write, fakes: SimpleNamespace, picture: Picture
) -> None:
    white = np.full((4, 4, 3), 255, np.uint8)
    registry = fakes.registry(Spoiling.of(fakes.Right))
    with edgeprep.open(ensemble(PLAIN, PLAIN), probe=False, registry=registry) as session:
        stream = session.stream([picture, white, picture.astype(np.float32), picture])
        next(stream)
        with pytest.raises(NonFiniteOutput, match=r"pictures\[1\]"):
            next(stream)
        with pytest.raises(DTypeError, match="float32"):
            next(stream)
        assert session.metrics().errors == {"NonFiniteOutput": 1, "DTypeError": 1}
        with pytest.raises(NonFiniteOutput, match="session 'plain'"):
            session(white)
    with pytest.raises(ClosedError, match="must be open"):
        next(stream)
    assert session.metrics().errors == {"NonFiniteOutput": 2, "DTypeError": 1, "ClosedError": 1}


def test_what_is_preferred_is_heard_by_members_that_have_it(
    ensemble: Write, fakes: SimpleNamespace, manifest: Manifest
) -> None:
    (variant,) = manifest.variants
    small = replace(
        variant,
        name="fake-int8",
        precision="int8",
        size_bytes=9,
        files=("variants/fake-int8/model.fake",),
        golden_outputs=("golden/fake-int8/0.bin",),
    )
    both = {"name": "both", "variants": (variant, small)}
    registry = fakes.registry(fakes.Right)
    path = ensemble(both, PLAIN)
    with edgeprep.open(path, prefer="int8", registry=registry) as session:
        assert [member.choice.variant for member in session.members] == ["fake-int8", "fake-fp32"]
    path = ensemble({**both, "prefer": "fp32"}, PLAIN)
    with edgeprep.open(path, registry=registry) as session:
        assert [member.choice.variant for member in session.members] == ["fake-fp32"] * 2
    with pytest.raises(PreferenceError, match=r"^prefer: must be a variant, .*, got 'int8'"):
        edgeprep.open(path, prefer="int8", registry=registry)


def test_a_member_that_has_what_is_preferred_and_cannot_run_it_is_refused(
    ensemble: Write, fakes: SimpleNamespace, manifest: Manifest
) -> None:
    (variant,) = manifest.variants
    odd = replace(
        variant,
        name="odd-int8",
        format="odd",
        precision="int8",
        size_bytes=8,
        files=("variants/odd-int8/model.fake",),
        golden_outputs=("golden/odd-int8/0.bin",),
    )
    path = ensemble({"name": "both", "variants": (variant, odd)}, PLAIN)
    registry = fakes.registry(fakes.Right)
    edgeprep.open(path, registry=registry).close()
    with pytest.raises(NoUsableBackend, match=r"^.*together.edgeprep: parts\[0\]: at least one"):
        edgeprep.open(path, prefer="int8", registry=registry)
    with pytest.raises(NoUsableBackend, match=r"^.*together.edgeprep: parts\[0\]: at least one"):
        measure_all(path, prefer="int8", rounds=1, registry=registry)
    assert fakes.Right.open_runners == []


def test_a_member_that_cannot_run_leaves_nothing_open(
    ensemble: Write, fakes: SimpleNamespace, manifest: Manifest
) -> None:
    variants = (replace(manifest.variants[0], format="odd"),)
    path = ensemble(PLAIN, {"name": "odd", "variants": variants})
    with pytest.raises(NoUsableBackend, match=r"^.*together.edgeprep: parts\[1\]: at least one"):
        edgeprep.open(path, registry=fakes.registry(fakes.Right))
    assert fakes.Right.open_runners == []


def test_a_closed_session_has_closed_its_members(
    session: EnsembleSession, fakes: SimpleNamespace, picture: Picture
) -> None:
    stream = session.stream([picture])
    assert not session.closed
    session.close()
    session.close()
    assert session.closed
    assert all(member.closed for member in session.members)
    assert fakes.Right.open_runners == []
    message = "^session 'together': must be open, got a call after close\\(\\)$"
    for call in (lambda: session(picture), lambda: next(stream), lambda: session.outputs(picture)):
        with pytest.raises(ClosedError, match=message):
            call()


# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_is_refused(session: EnsembleSession, picture: Picture) -> None:
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            session(picture)
        except ForkedRunnerError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1000).decode() == (
        "session 'together': must be used in the process that opened it, got a fork; "
        "open it in the child, with multiprocessing's 'spawn'"
    )


def test_threads_may_share_it(session: EnsembleSession) -> None:
    pictures = [
        np.eye(3, dtype=np.uint8)[index] * np.full((4, 4, 1), 90, np.uint8) for index in range(3)
    ]
    wrong: list[str] = []

    def run(index: int) -> None:
        for _ in range(200):
            if session(pictures[index]).index != index:
                wrong.append(f"thread {index}")

    threads = [threading.Thread(target=run, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_everything_is_measured_member_by_member(ensemble: Write, fakes: SimpleNamespace) -> None:
    registry = fakes.registry(fakes.Right, fakes.Slow)
    name, outcomes = measure_all(ensemble(PLAIN, SURE), rounds=2, registry=registry)
    assert name == "together"
    assert [(str(one.candidate).split()[:2], one.verdict) for one in outcomes] == [
        (["ensemble", "average"], "chosen"),
        (["plain/fake-fp32", "right"], "chosen"),
        (["plain/fake-fp32", "slow"], "slower"),
        (["sure/fake-fp32", "right"], "chosen"),
        (["sure/fake-fp32", "slow"], "slower"),
    ]
    assert re.fullmatch(r"joins 2 members, \d+\.\d{3} ms in their engines", outcomes[0].reason)


def test_two_members_of_one_name_are_told_apart(ensemble: Write, fakes: SimpleNamespace) -> None:
    path = ensemble(PLAIN, PLAIN, SURE)
    with edgeprep.open(path, registry=fakes.registry(fakes.Right)) as session:
        assert session.names == ("plain#0", "plain#1", "sure")


@pytest.mark.parametrize(
    ("members", "changes", "kind", "message"),
    [
        pytest.param(
            [PLAIN, SURE],
            {"task": {"use": "classify", "labels": ["red", "green", "grey"]}},
            BundleFormatError,
            "must have parts that fit together, got parts[0]: its task.labels[2] must be "
            "'grey', as the ensemble's, got 'blue'",
            id="other labels",
        ),
        pytest.param(
            [PLAIN, SURE],
            {"input": ImageSpec()},
            BundleFormatError,
            f"input must be {ImageSpec(height=4, width=4)}, as its parts take, got {ImageSpec()}",
            id="other input",
        ),
        pytest.param(
            [{**PLAIN, "prefer": "int8"}, SURE],
            {},
            BundleFormatError,
            "parts[0].prefer: must be a variant, format or precision of its bundle, got 'int8'",
            id="nothing that is preferred",
        ),
        pytest.param(
            [PLAIN, SURE],
            {"combine": {"use": "boxes"}},
            IncompatibleBundle,
            "must have a task and a combiner that are installed here, got combine.use: must be one "
            "that joins results of task 'classify', got 'boxes'; it may be 'average' or 'vote' or "
            "'stack'; install the plugin that offers it, or a newer edgeprep",
            id="a combiner of boxes",
        ),
        pytest.param(
            [PLAIN, SURE],
            {"combine": {"use": "average@2"}},
            IncompatibleBundle,
            "must have a task and a combiner that are installed here, got combine.use: must be of "
            "the version that is here, 'average@1', got 'average@2'; install the plugin that "
            "offers it, or a newer edgeprep",
            id="a combiner of another version",
        ),
        pytest.param(
            [PLAIN, SURE],
            {"combine": {"use": "stack"}},
            BundleFormatError,
            "must have learnt {'weights': (3, 6), 'bias': (3,)} in float32, as combiner 'stack' "
            "does, got {}",
            id="nothing learnt",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    ensemble: Write,
    fakes: SimpleNamespace,
    members: list[Mapping[str, Any]],
    changes: Mapping[str, Any],
    kind: type[BundleError],
    message: str,
) -> None:
    path = ensemble(*members, **changes)
    with pytest.raises(kind, match=f"^{re.escape(str(path))}: {re.escape(message)}$"):
        edgeprep.open(path, registry=fakes.registry(fakes.Right))


def test_members_of_an_ensemble_for_throughput_answer_several_pictures_together(
    ensemble: Write, fakes: SimpleNamespace
) -> None:
    batches: list[int] = []

    class WideRunner(fakes.Runner):  # type: ignore[misc,name-defined]
        def __init__(self, backend: Any, batch: int) -> None:
            super().__init__(backend)
            self.inputs, self.outputs = (
                tuple(replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)
                for specs in (fakes.Runner.inputs, fakes.Runner.outputs)
            )

        def run(self, inputs: Any) -> Any:
            time.sleep(0.001)
            batches.append(len(inputs[0]))
            (outputs,) = super().run(inputs)
            white = inputs[0].min(axis=(1, 2, 3)) == 255
            return (np.where(white[:, np.newaxis], np.float32(np.nan), outputs),)

    class Wide(fakes.Right):  # type: ignore[misc,name-defined]
        name = "wide"
        widths = ("batch",)

        def load(self, model: Any, device: Any, options: Any) -> Any:
            return WideRunner(self, options.get("batch", 1))

    pictures = np.random.default_rng(5).integers(0, 256, (48, 4, 4, 3), dtype=np.uint8)
    path, registry = ensemble(PLAIN, SURE), fakes.registry(Wide)
    with (
        edgeprep.open(path, registry=registry, goal="throughput", seconds=0.1) as busy,
        edgeprep.open(path, registry=registry, seconds=0.1) as quick,
    ):
        assert [member.choice.options["batch"] for member in busy.members] == [16, 16]
        labels = [result.label for result in quick.batch(pictures)]
        batches.clear()
        assert [result.label for result in busy.batch(pictures)] == labels
        assert batches == [16] * 6
        assert busy.metrics().steps["total"].count == 48
        pictures[20] = 255
        with pytest.raises(NonFiniteOutput, match=r"session 'plain': pictures\[20\]: output"):
            busy.batch(pictures)
        assert busy.metrics().errors == {"NonFiniteOutput": 1}


def test_members_of_an_ensemble_for_throughput_answer_several_calls_at_once(
    ensemble: Write, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprep.runtime.busiest.available_cpus", lambda: 3)
    registry = fakes.registry(fakes.Right)
    pictures = np.random.default_rng(5).integers(0, 256, (24, 4, 4, 3), dtype=np.uint8)
    path = ensemble(PLAIN, SURE)
    with (
        edgeprep.open(path, registry=registry, goal="throughput", seconds=0.1) as busy,
        edgeprep.open(path, registry=registry, seconds=0.1) as quick,
    ):
        options = [each.candidate.options for each in busy.outcomes if each.timing]
        assert options == [{"threads": 1, "calls": 3}] * 2
        assert all(each.per_second for each in busy.outcomes if each.timing)
        assert busy._crowd == 3
        assert quick._crowd == 1
        labels = [result.label for result in busy.batch(pictures)]
        assert labels == [result.label for result in quick.batch(pictures)]
