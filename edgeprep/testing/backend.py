"""Checks of a backend: right answers from any number of threads, and errors of ours."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, EdgePrepError
from edgeprep.interfaces import Backend, Device, DeviceKind, Model, Options, Precision, Runner
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import (
    ConformanceError,
    forbid_errors,
    relative_difference,
    require,
    require_instance,
)

__all__ = ["check_backend"]

THREADS = 4
CALLS = 200  # by each thread
# Some engines divide the work anew at each call, and so sum in another order.
TOLERANCE = 1e-5

Arrays = Sequence[NDArray[Any]]


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
        tolerance: from `expected`, relative to its largest value, or to 1 below that; it is held
            with the first options, the most exact ones.
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
            samples = _read_only(inputs) or [_noise(runner.inputs, seed) for seed in range(THREADS)]
            results = _check_runner(runner, samples, where)
            if index == 0:
                _check_numbers(results, expected, tolerance, where)
        finally:
            runner.close()
        _check_closed(runner, samples[0], where)
    _check_refusals(backend, model, device, backend.options(device, precision)[0], what)


def _check_machine(backend: Backend, precision: Precision, what: str) -> None:
    devices = backend.devices()
    require(
        isinstance(devices, tuple)
        and all(isinstance(device, Device) for device in devices)
        and devices[:1]
        and devices[0].kind == "cpu",
        f"{what}: devices() must be a tuple that starts with the CPU, got {devices!r}",
    )
    names = [device.name for device in devices]
    require(len({*names}) == len(names), f"{what}: devices must differ in name, got {names}")
    kinds = {device.kind for device in devices}
    require(
        kinds <= {*get_args(DeviceKind)},
        f"{what}: kinds of devices must be of {', '.join(get_args(DeviceKind))}, got {kinds}",
    )
    for device in devices:
        options = backend.options(device, precision)
        texts = [json.dumps(dict(each), sort_keys=True) for each in options]
        require(
            options and len({*texts}) == len(texts),
            f"{what}: options() on {device.name!r} must be some that differ, got {options!r}",
        )
        plain = all(type(value) in (int, str) for each in options for value in each.values())
        require(plain, f"{what}: options must be whole numbers and strings, got {options!r}")
    versions = dict(backend.versions())
    require(
        versions and all(isinstance(text, str) for text in [*versions, *versions.values()]),
        f"{what}: versions() must name libraries and their versions, got {versions!r}",
    )


def _check_runner(runner: Runner, samples: Sequence[Arrays], where: str) -> list[Arrays]:
    """The outputs for each of the samples, found to be the same whoever asks, and when."""
    kept = [_copies(sample) for sample in samples]
    with forbid_errors(f"{where}: run() must work on inputs that are read-only"):
        results = [runner.run(sample) for sample in samples]
    require(_equal(samples, kept), f"{where}: run() must not change its inputs")
    promised = [(spec.shape, spec.dtype) for spec in runner.outputs]
    for outputs in results:
        found = [(array.shape, array.dtype.name) for array in outputs]
        require(found == promised, f"{where}: run() must give {promised}, got {found}")
    expected: list[Arrays] = [_copies(outputs) for outputs in results]
    again = [runner.run(sample) for sample in reversed(samples)]
    require(
        _equal(results, expected),
        f"{where}: outputs must belong to the caller, got some that a later call changed",
    )
    require(
        all(map(_agree, reversed(again), expected)),
        f"{where}: the same inputs must give the same outputs, whatever ran before",
    )
    _check_oracle(expected, where)
    _check_threads(runner, samples, expected, where)
    return expected


def _check_oracle(results: Sequence[Arrays], where: str) -> None:
    """Refuse samples by which an answer to another thread's question would go unnoticed."""
    for one, other in combinations(range(len(results)), 2):
        require(
            not _agree(results[one], results[other]),
            f"{where}: samples must have outputs that differ, got the same for {one} and {other}; "
            "pass inputs that the model tells apart",
        )
    require(len(results) > 1, f"{where}: must be checked with two samples or more, got one")


def _check_numbers(
    results: Sequence[Arrays], expected: Sequence[Arrays], tolerance: float, where: str
) -> None:
    for index, (outputs, wanted) in enumerate(zip(results, expected, strict=bool(expected))):
        require(
            len(outputs) == len(wanted),
            f"{where}: must give {len(wanted)} outputs, got {len(outputs)}",
        )
        worst = max(map(relative_difference, outputs, wanted))
        require(
            worst <= tolerance,
            f"{where}: sample {index} must be right to {tolerance:g}, got {worst:.2g}",
        )


def _check_threads(
    runner: Runner, samples: Sequence[Arrays], expected: Sequence[Arrays], where: str
) -> None:
    with ThreadPoolExecutor(THREADS) as pool, forbid_errors(f"{where}: threads must share it"):
        turns = [pool.submit(_hammer, runner, samples, expected, turn) for turn in range(THREADS)]
        wrong = sum(turn.result() for turn in turns)
    require(
        wrong == 0,
        f"{where}: {THREADS} threads must get their own answers, "
        f"got {wrong} wrong of {THREADS * CALLS}",
    )


def _hammer(
    runner: Runner, samples: Sequence[Arrays], expected: Sequence[Arrays], turn: int
) -> int:
    """How many of this thread's answers are not those of its own inputs."""
    order = [(turn + call) % len(samples) for call in range(CALLS)]
    return sum(not _agree(runner.run(samples[index]), expected[index]) for index in order)


def _check_closed(runner: Runner, sample: Arrays, where: str) -> None:
    with forbid_errors(f"{where}: close() must do nothing the second time"):
        runner.close()
    _require_refusal(f"{where}: run() after close()", ClosedError, partial(runner.run, sample))


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
        _require_refusal(f"{what}: load() of {case}", BackendError, refused)


def _require_refusal(what: str, error: type[EdgePrepError], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    except Exception as fault:
        raise ConformanceError(
            f"{what} must raise {error.__name__}, got {in_one_line(fault)}"
        ) from fault
    raise ConformanceError(f"{what} must raise {error.__name__}, got a result")


def _noise(specs: Sequence[TensorSpec], seed: int) -> list[NDArray[Any]]:
    """Noise for each input: pixel values for integers, -1 to 1 for floats."""
    random = np.random.default_rng(seed)
    arrays = []
    for spec in specs:
        if spec.dtype.startswith("float"):
            array = random.uniform(-1, 1, spec.shape).astype(spec.dtype)
        else:
            array = random.integers(0, 128, spec.shape).astype(spec.dtype)
        arrays.append(array)
    return _read_only([arrays])[0]


def _read_only(samples: Sequence[Arrays]) -> list[list[NDArray[Any]]]:
    copies = [_copies(sample) for sample in samples]
    for sample in copies:
        for array in sample:
            array.flags.writeable = False
    return copies


def _copies(arrays: Arrays) -> list[NDArray[Any]]:
    return [array.copy() for array in arrays]


def _equal(ones: Sequence[Arrays], others: Sequence[Arrays]) -> bool:
    return all(
        np.array_equal(one, other)
        for pair in zip(ones, others, strict=True)
        for one, other in zip(*pair, strict=True)
    )


def _agree(actual: Arrays, expected: Arrays) -> bool:
    pairs = zip(actual, expected, strict=True)
    return all(relative_difference(one, other) <= TOLERANCE for one, other in pairs)
