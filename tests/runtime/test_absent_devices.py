"""Devices that an engine knows and cannot reach: told of with their reasons, and never tried."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import edgeprep
from edgeprep.errors import NoUsableBackend
from edgeprep.interfaces import Absent, Backend
from edgeprep.runtime.engines import describe_backends

NPU = Absent(name="npu", kind="npu", reason="there is no driver; pip install npu-driver")
GPU = Absent(name="gpu.0", kind="gpu", reason="Vulkan knows no adapter")


def with_absent(right: type[Backend]) -> type[Backend]:
    class Lacking(right):  # type: ignore[misc, valid-type]
        name = "lacking"

        def absent(self) -> tuple[Absent, ...]:
            return (NPU, GPU)

    return Lacking


def test_absent_devices_are_told_of_once_with_their_reasons(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(with_absent(fakes.Right))
    with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
        found = [
            (str(outcome.candidate), outcome.verdict, outcome.reason)
            for outcome in session.outcomes[1:]
        ]
        assert found == [
            ("lacking npu", "unavailable", NPU.reason),
            ("lacking gpu.0", "unavailable", GPU.reason),
        ]
        assert session.explain().startswith("means: 1 candidates, measured now\n")
        assert re.search(
            r"^unavailable +lacking +npu +there is no driver; pip install npu-driver$",
            session.explain(),
            re.MULTILINE,
        )


def test_a_remembered_choice_tells_of_absent_devices_too(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(with_absent(fakes.Right))
    edgeprep.open(bundle, registry=registry, seconds=0.01).close()
    with edgeprep.open(bundle, registry=registry, seconds=0.01) as session:
        assert session.remembered
        assert [o.reason for o in session.outcomes[1:]] == [NPU.reason, GPU.reason]


def test_a_preference_hears_why_what_it_asks_for_is_not_here(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    registry = fakes.registry(with_absent(fakes.Right))
    message = (
        f"{bundle}: at least one candidate must run on this machine, got none\n"
        "  fake-fp32 lacking cpu threads=1: excluded, prefer='gpu'\n"
        "  lacking gpu.0: unavailable, Vulkan knows no adapter"
    )
    with pytest.raises(NoUsableBackend, match=f"^{re.escape(message)}$"):
        edgeprep.open(bundle, registry=registry, prefer="gpu", seconds=0.01)


def test_an_engine_that_fails_when_it_is_asked_is_not_lost(
    bundle: Path, fakes: SimpleNamespace
) -> None:
    class Failing(fakes.Right):  # type: ignore[misc, name-defined]
        name = "failing"

        def absent(self) -> tuple[Absent, ...]:
            raise OSError("the driver hangs up")

    with edgeprep.open(bundle, registry=fakes.registry(Failing), seconds=0.01) as session:
        assert session.choice.backend == "failing"
        assert session.outcomes[1].reason == (
            "asked for absent devices: OSError: the driver hangs up"
        )


def test_the_description_of_a_backend_lists_them(fakes: SimpleNamespace) -> None:
    (entry,) = describe_backends(fakes.registry(with_absent(fakes.Right)))
    assert entry["absent"] == [
        {"name": "npu", "kind": "npu", "reason": NPU.reason},
        {"name": "gpu.0", "kind": "gpu", "reason": GPU.reason},
    ]
