"""Checks of a backend: right answers from any number of threads, and errors of ours."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import BackendError, ClosedError, EdgePrepError
from edgeprep.interfaces import Backend, Device, DeviceKind, Model, Options, Precision, Runner
from edgeprep.registry.offers import in_one_line
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import forbid_errors, relative_difference, require, require_class

__all__ = ["check_backend"]

THREADS = 4
CALLS = 200  # by each thread
# Some engines divide the work anew at each call, and so sum in another order.
TOLERANCE = 1e-5

Arrays = Sequence[NDArray[Any]]


def check_backend(backend: Backend, model: Model, *, precision: Precision = "fp32") -> None:
    """Check what sessions rely on, with a small `model` that this backend can run.

    Args:
        backend: the value to check.
        model: in one of its formats; inputs of at most a few thousand elements keep it quick.
        precision: of `model`.

    Raises:
        AssertionError: a rule is broken.
    """
    require_class("backend", type(backend))
    what = f"backend {backend.name!r}"
    require(
        model.format in backend.formats,
        f"{what}: the model must be one it can run, got format {model.format!r}",
    )
    _check_machine(backend, precision, what)
    device = backend.devices()[0]
    for options in backend.options(device, precision):
        where = f"{what} with {dict(options)}"
        with forbid_errors(f"{where}: must load the model"):
            runner = backend.load(model, device, options)
        try:
            _check_runner(runner, where)
        finally:
            runner.close()
        _check_closed(runner, where)
    _check_refusals(backend, model, device, backend.options(device, precision)[0], what)


def _check_machine(backend: Backend, precision: Precision, what: str) -> None:
    devices = backend.devices()
    require(
        isinstance(devices, tuple) and devices and devices[0].kind == "cpu",
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


def _check_runner(runner: Runner, where: str) -> None:
    samples = [_sample(runner.inputs, seed) for seed in range(THREADS)]
    kept = [_copies(sample) for sample in samples]
    with forbid_errors(f"{where}: run() must work on inputs that are read-only"):
        results = [runner.run(sample) for sample in samples]
    require(_equal(samples, kept), f"{where}: run() must not change its inputs")
    promised = [(spec.shape, spec.dtype) for spec in runner.outputs]
    for outputs in results:
        found = [(array.shape, array.dtype.name) for array in outputs]
        require(found == promised, f"{where}: run() must give {promised}, got {found}")
    expected = [_copies(outputs) for outputs in results]
    again = [runner.run(sample) for sample in reversed(samples)]
    require(
        _equal(results, expected),
        f"{where}: outputs must belong to the caller, got some that a later call changed",
    )
    require(
        all(map(_agree, reversed(again), expected)),
        f"{where}: the same inputs must give the same outputs, whatever ran before",
    )
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


def _check_closed(runner: Runner, where: str) -> None:
    with forbid_errors(f"{where}: close() must do nothing the second time"):
        runner.close()
    _require_refusal(
        f"{where}: run() after close()",
        ClosedError,
        lambda: runner.run(_sample(runner.inputs, 0)),
    )


def _check_refusals(
    backend: Backend, model: Model, device: Device, options: Options, what: str
) -> None:
    nowhere = Device(name="no-such-device", kind="npu")
    halves = {name: content[: len(content) // 2] for name, content in model.files.items()}
    cut = Model(format=model.format, files=halves)
    empty = Model(format=model.format, files={})
    unknown = {**options, "no-such-option": 1}
    cases: dict[str, tuple[Model, Device, Options]] = {
        "an unknown device": (model, nowhere, options),
        "half a model": (cut, device, options),
        "a model without files": (empty, device, options),
        "an unknown option": (model, device, unknown),
    }
    for case, arguments in cases.items():
        refused = partial(backend.load, *arguments)
        _require_refusal(f"{what}: load() of {case}", BackendError, refused)


def _require_refusal(what: str, error: type[EdgePrepError], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    except Exception as fault:
        raise AssertionError(
            f"{what} must raise {error.__name__}, got {in_one_line(fault)}"
        ) from fault
    raise AssertionError(f"{what} must raise {error.__name__}, got a result")


def _sample(specs: Sequence[TensorSpec], seed: int) -> list[NDArray[Any]]:
    """Noise for each input: pixel values for integers, -1 to 1 for floats."""
    random = np.random.default_rng(seed)
    arrays = []
    for spec in specs:
        if spec.dtype.startswith("float"):
            array = random.uniform(-1, 1, spec.shape).astype(spec.dtype)
        else:
            array = random.integers(0, 128, spec.shape).astype(spec.dtype)
        array.flags.writeable = False
        arrays.append(array)
    return arrays


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
