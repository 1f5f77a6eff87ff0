"""The words that `prefer=` takes, and what is no such word."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.errors import BundleError, PreferenceError
from edgeprep.interfaces import Backend, Device
from edgeprep.registry import Registry
from edgeprep.runtime.benchmark import measure_all
from edgeprep.runtime.prefer import check_prefer

RULE = "must be a variant, format, precision, backend, device or kind of device"


def message(prefer: object, bundle: Path, registry: Registry) -> str:
    with pytest.raises(PreferenceError, match=r"^prefer: ") as fault:
        edgeprep.open(bundle, prefer=prefer, registry=registry)  # type: ignore[arg-type]
    return str(fault.value)


@pytest.mark.parametrize("prefer", ["bogus", 3])
def test_a_word_that_nothing_answers_to_is_refused_with_those_that_are(
    bundle: Path, fakes: SimpleNamespace, prefer: object
) -> None:
    registry = fakes.registry(fakes.Right, fakes.Slow)
    known = "'fake-fp32', 'fake', 'fp32', 'right', 'slow', 'cpu', 'gpu', 'npu', 'dsp'"
    wanted = f"prefer: {RULE}, got {prefer!r}; known here are {known}"
    assert message(prefer, bundle, registry) == wanted
    with pytest.raises(PreferenceError, match=r"^prefer: "):
        measure_all(bundle, prefer=prefer, registry=registry)  # type: ignore[arg-type]


def test_a_near_miss_is_named(bundle: Path, fakes: SimpleNamespace) -> None:
    told = message("rigth", bundle, fakes.registry(fakes.Right))
    assert f"{RULE}, got 'rigth'; did you mean 'right'?; known here are " in told


@pytest.mark.parametrize("kind", ["CPU", "gpu", "npu", "dsp"])
def test_a_kind_of_device_is_a_word_everywhere(
    bundle: Path, fakes: SimpleNamespace, kind: str
) -> None:
    variants = open_bundle(bundle).manifest.variants
    check_prefer(kind, variants, fakes.registry(fakes.Right))


def test_the_name_of_a_device_is_a_word(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Right, "devices", lambda _: (Device(name="CPU.1", kind="cpu"),))
    registry = fakes.registry(fakes.Right)
    with edgeprep.open(bundle, prefer="cpu.1", registry=registry, probe=False) as session:
        assert session.choice.device == "CPU.1"
    assert message("cpu.2", bundle, registry).endswith("'dsp', 'cpu.1'")


def test_a_backend_that_cannot_say_its_devices_is_passed_over(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> tuple[Device, ...]:
        raise OSError("no driver")

    monkeypatch.setattr(fakes.Right, "devices", fail)
    assert message("bogus", bundle, fakes.registry(fakes.Right)).endswith("'dsp'")


def test_no_engine_is_imported_for_a_word_of_the_bundle(
    bundle: Path, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("constructed")

    monkeypatch.setattr(fakes.Right, "__init__", fail)
    variants = open_bundle(bundle).manifest.variants
    for word in ("fake-fp32", "FAKE", "fp32", "right", "npu"):
        check_prefer(word, variants, fakes.registry(fakes.Right))


@pytest.mark.parametrize("prefer", ["", 3])
def test_no_engine_is_asked_for_what_is_the_name_of_no_device(
    bundle: Path, fakes: SimpleNamespace, prefer: Any
) -> None:
    def make(cls: type[Backend]) -> str:
        raise AssertionError("constructed")

    variants = open_bundle(bundle).manifest.variants
    with pytest.raises(PreferenceError, match=rf"{RULE}, got {prefer!r}; known here are "):
        check_prefer(prefer, variants, fakes.registry(fakes.Right), make)


@pytest.mark.parametrize("path", [None, 3, b"a.edgeprep"], ids=repr)
def test_what_is_no_path_is_refused(path: object, fakes: SimpleNamespace) -> None:
    message = rf"^bundle: must be the path of a file, got {path!r}$"
    with pytest.raises(BundleError, match=message):
        edgeprep.open(path, registry=fakes.registry(fakes.Right))  # type: ignore[arg-type]
