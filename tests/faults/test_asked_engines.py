"""What goes wrong where an engine is asked what it could run is a reason; another one answers."""

import pytest
from channel_means import GREEN
from faulty_bundle import verdict_on


@pytest.mark.parametrize("question", ["options", "refuse"])
def test_a_crash_where_an_engine_is_asked_is_a_verdict_and_the_next_one_answers(
    open_faulty, monkeypatch, question
):
    monkeypatch.setenv(f"FAULT_OF_ALONE_AT_{question.upper()}", "signal:SIGSEGV")
    told = []
    with open_faulty({}, on_event=told.append) as session:
        assert session(GREEN).label == "green"
        assert session.choice.backend == "safe"
        rule = f"backend 'alone': must answer {question}() in its worker"
        reason = f"{rule}, got the worker's death by SIGSEGV"
        assert verdict_on(session) == ("unavailable", f"BackendCrashed: {reason}")
    assert [(event.kind, event.message) for event in told] == [("verdict", reason)]
    monkeypatch.delenv(f"FAULT_OF_ALONE_AT_{question.upper()}")
    # Of another wish, so that no choice is remembered.
    with open_faulty({}, prefer="fp32") as session:
        verdict, kept = verdict_on(session)
    assert (verdict, kept.partition(" (kept from ")[0]) == ("unavailable", reason)


@pytest.mark.parametrize("question", ["options", "refuse"])
def test_what_an_engine_of_this_process_raises_where_it_is_asked_is_a_reason(
    open_faulty, monkeypatch, question
):
    monkeypatch.setenv(f"FAULT_OF_ALONE_AT_{question.upper()}", "raise:RuntimeError")
    with open_faulty({}, isolate=False) as session:
        assert session(GREEN).label == "green"
        assert verdict_on(session) == ("unavailable", "RuntimeError: device lost")
