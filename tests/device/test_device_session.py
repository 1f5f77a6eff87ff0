from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import edgeprep
from edgeprep.errors import NoUsableBackend
from edgeprep.pictures import read_picture

THREADS = 4
CALLS_PER_THREAD = 500


def test_every_digit_gets_its_label(session, samples):
    assert len(samples) == 10
    found = {digit: session(read_picture(path)).label for digit, path in samples.items()}
    assert found == {digit: digit for digit in samples}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_precision_runs_and_gives_the_right_labels(bundle, engine, samples, precision):
    variant = f"{engine.format}-{precision}"
    with edgeprep.open(bundle, prefer=variant, probe=False) as session:
        assert session.choice.variant == variant
        found = [session(read_picture(path)).label for path in samples.values()]
    assert found == list(samples)


def test_the_choice_runs_on_the_engine_that_is_there(session, engine):
    assert session.choice.backend == engine.backend


def test_variants_of_absent_engines_are_unavailable_with_the_command_that_installs_them(
    session, engine
):
    absent = {
        outcome.candidate.variant: outcome.reason
        for outcome in session.outcomes
        # Those without one are accelerators of the engine that this machine has not.
        if outcome.verdict == "unavailable" and outcome.candidate.variant
    }
    assert absent == {
        f"{absent}-{precision}": f"no backend for format '{absent}'; "
        f"pip install edgeprep-{absent}[runtime]"
        for absent in engine.absent
        for precision in ("fp32", "int8")
    }
    lines = session.explain().splitlines()
    for variant, reason in absent.items():
        (line,) = [line for line in lines if f" {variant} " in line]
        assert line.startswith("unavailable")
        assert line.endswith(reason)


def test_preferring_an_absent_engine_says_what_there_is_instead(bundle, engine):
    absent = engine.absent[0]
    rule = "at least one candidate must run on this machine, got none"
    with pytest.raises(NoUsableBackend, match=rule) as caught:
        edgeprep.open(bundle, prefer=absent)
    lines = str(caught.value).splitlines()
    assert f"pip install edgeprep-{absent}[runtime]" in "\n".join(lines)
    assert any(
        line.lower().startswith(f"  {engine.format}-fp32 {engine.backend} cpu")
        and line.endswith(f": excluded, prefer={absent!r}")
        for line in lines
    )


def test_a_choice_is_remembered_by_the_next_open(bundle, session):
    with edgeprep.open(bundle) as again:
        assert again.remembered
        assert again.choice == session.choice
        assert "remembered" in again.explain()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_four_threads_share_a_session_and_every_answer_is_the_right_one(
    bundle, engine, samples, precision
):
    pictures = [read_picture(path) for path in samples.values()]
    with edgeprep.open(bundle, prefer=f"{engine.format}-{precision}", probe=False) as session:
        alone = [session.outputs(picture)[0].copy() for picture in pictures]

        def call(start):
            order = [(start + step) % len(pictures) for step in range(CALLS_PER_THREAD)]
            return sum(
                not np.array_equal(session.outputs(pictures[index])[0], alone[index])
                for index in order
            )

        with ThreadPoolExecutor(THREADS) as pool:
            wrong = sum(pool.map(call, range(THREADS)))
    assert len({answer.tobytes() for answer in alone}) == len(pictures)
    assert wrong == 0
