"""A kept verdict on an engine is no reason for no answer."""

import re

import faulty_bundle as bundles
import pytest
from channel_means import GREEN

import edgeprep
from edgeprep.errors import NoUsableBackend
from edgeprep.workers import Limits


@pytest.mark.parametrize(
    ("variable", "fault", "reason"),
    [
        ("FAULT_AT_IMPORT", "signal:SIGSEGV", "got the worker's death by SIGSEGV"),
        ("FAULT_AT_DEVICES", "signal:SIGSEGV", "got the worker's death by SIGSEGV"),
        ("FAULT_AT_IMPORT", "hang:holding", "must start in its worker within 1 s, got no answer"),
    ],
)
def test_the_only_engine_is_tried_again_though_it_failed_just_now(
    tmp_path, monkeypatch, variable, fault, reason
):
    path = bundles.write_faulty(tmp_path / "one.edgeprep", {"fake-fp32": {}})
    registry = bundles.registry_of(bundles.Alone)
    monkeypatch.setenv(variable, fault)
    limits = Limits(start_s=1.0) if "hang" in fault else None
    with pytest.raises(NoUsableBackend, match=rf"{re.escape(reason)}$"):
        edgeprep.open(path, registry=registry, seconds=0.0, limits=limits)
    monkeypatch.delenv(variable)
    with edgeprep.open(path, registry=registry, seconds=0.0) as session:
        assert session(GREEN).label == "green"
        assert session.choice.backend == "alone"
