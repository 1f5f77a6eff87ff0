"""Checks of a backend: what it says of the machine, right numbers, and errors of ours."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import get_args

from msgspec.structs import replace

from edgeprep.errors import BackendError
from edgeprep.interfaces import (
    Absent,
    Backend,
    Device,
    DeviceKind,
    Model,
    Options,
    Precision,
)
from edgeprep.runtime.golden import relative_error
from edgeprep.testing.compiled import check_compiled
from edgeprep.testing.rules import forbid_errors, require, require_instance
from edgeprep.testing.runner import (
    Arrays,
    check_closed,
    check_runner,
    noise,
    read_only,
    require_refusal,
)

__all__ = ["check_backend"]


def check_backend(
    backend: Backend,
    model: Model,
    inputs: Sequence[Arrays] = (),
    expected: Sequence[Arrays] = (),
    tolerance: float = 1e-4,
    *,
    precision: Precision = "fp32",
) -> None:
    """Check what sessions rely on, with a small `model` that this backend can run.

    Args:
        backend: the value to check.
        model: in one of its formats; inputs of at most a few thousand elements keep it quick.
        inputs: samples, each of them one array an input of `model`, whose outputs differ; noise
            where there are none.
        expected: the right outputs for each sample, in order; where there are none, only that
            answers agree with each other is checked.
        tolerance: from `expected`, relative to the largest value of each output; it is held with
            the first options, the most exact ones.
        precision: of `model`.

    Raises:
        ConformanceError: a rule is broken.
    """
    what = require_instance("backend", backend)
    require(
        model.format in backend.formats,
        f"{what}: the model must be one it can run, got format {model.format!r}",
    )
    _check_machine(backend, precision, what)
    device = backend.devices()[0]
    for index, options in enumerate(backend.options(device, precision)):
        where = f"{what} with {dict(options)}"
        with forbid_errors(f"{where}: must load the model"):
            runner = backend.load(model, device, options)
        try:
            samples = read_only(inputs) or [noise(runner.inputs, seed) for seed in range(4)]
            results = check_runner(runner, samples, where)
            if expected and index == 0:
                _check_numbers(results, expected, tolerance, where)
            check_compiled(backend, runner, (model, device, options), samples, results, where)
        finally:
            runner.close()
        check_closed(runner, samples[0], where)
    _check_refusals(backend, model, device, backend.options(device, precision)[0], what)


def _check_machine(backend: Backend, precision: Precision, what: str) -> None:
    with forbid_errors(f"{what}: devices(), options() and versions() must not raise"):
        devices = backend.devices()
        absent = backend.absent()
        versions = backend.versions()
        _check_devices(devices, what)
        _check_absent(absent, devices, what)
        for device in devices:
            _check_options(backend.options(device, precision), f"{what} on {device.name!r}")
    require(
        isinstance(versions, Mapping)
        and versions
        and all(isinstance(text, str) for text in [*versions, *versions.values()]),
        f"{what}: versions() must give strings by name, one at least, got {versions!r}",
    )


def _check_devices(devices: tuple[Device, ...], what: str) -> None:
    require(
        isinstance(devices, tuple)
        and devices
        and all(isinstance(device, Device) for device in devices)
        and devices[0].kind == "cpu",
        f"{what}: devices() must be a tuple of Device that starts with the CPU, got {devices!r}",
    )
    names = [device.name for device in devices]
    require(len({*names}) == len(names), f"{what}: devices must differ in name, got {names}")
    kinds = [device.kind for device in devices]
    known = ", ".join(map(repr, get_args(DeviceKind)))
    require({*kinds} <= {*get_args(DeviceKind)}, f"{what}: kinds must be of {known}, got {kinds}")


def _check_absent(absent: tuple[Absent, ...], devices: tuple[Device, ...], what: str) -> None:
    require(
        isinstance(absent, tuple) and all(isinstance(each, Absent) for each in absent),
        f"{what}: absent() must be a tuple of Absent, got {absent!r}",
    )
    here = {device.name for device in devices}
    both = sorted(each.name for each in absent if each.name in here)
    require(not both, f"{what}: absent devices must not be among devices(), got {both}")
    silent = [each.name for each in absent if not each.reason or "\n" in each.reason]
    require(not silent, f"{what}: absent devices must have a reason in one line, got {silent}")
    kinds = [each.kind for each in absent]
    known = ", ".join(map(repr, get_args(DeviceKind)))
    require(
        {*kinds} <= {*get_args(DeviceKind)},
        f"{what}: kinds of absent devices must be of {known}, got {kinds}",
    )


def _check_options(options: tuple[Options, ...], what: str) -> None:
    require(
        isinstance(options, tuple)
        and options
        and all(isinstance(each, Mapping) for each in options),
        f"{what}: options() must be a tuple of one mapping or more, got {options!r}",
    )
    values = [value for each in options for value in each.values()]
    # NOTE: not isinstance: True is an int, and comes back from JSON as another value.
    plain = all(type(value) in (int, str) for value in values)
    require(plain, f"{what}: options must be whole numbers and strings, got {options!r}")
    different = {tuple(sorted(each.items())) for each in options}
    require(len(different) == len(options), f"{what}: options must differ, got {options!r}")


def _check_numbers(
    results: Sequence[Arrays], expected: Sequence[Arrays], tolerance: float, where: str
) -> None:
    require(
        len(expected) == len(results),
        f"{where}: each of {len(results)} samples must have its outputs, got {len(expected)}",
    )
    for index, (outputs, wanted) in enumerate(zip(results, expected, strict=True)):
        worst = relative_error(outputs, wanted)
        require(
            worst <= tolerance,
            f"{where}: sample {index} must be right to {tolerance:g}, got {worst:.2g}",
        )


def _check_refusals(
    backend: Backend, model: Model, device: Device, options: Options, what: str
) -> None:
    nowhere = Device(name="no-such-device", kind="npu")
    files = model.files
    damaged: dict[str, dict[str, bytes]] = {"a model without files": {}}
    for name, content in files.items():
        damaged[f"a model without {name!r}"] = {key: files[key] for key in files if key != name}
        damaged[f"a model whose {name!r} is empty"] = {**files, name: b""}
        damaged[f"a model with half of {name!r}"] = {**files, name: content[: len(content) // 2]}
    cases: dict[str, tuple[Model, Device, Options]] = {
        "an unknown device": (model, nowhere, options),
        "an unknown option": (model, device, {**options, "no-such-option": 1}),
    } | {case: (replace(model, files=files), device, options) for case, files in damaged.items()}
    for case, arguments in cases.items():
        refused = partial(backend.load, *arguments)
        require_refusal(f"{what}: load() of {case}", BackendError, refused)
