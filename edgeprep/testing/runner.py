"""Checks of a runner: its own answers for each caller, and a clear end."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprep.errors import ClosedError, EdgePrepError
from edgeprep.interfaces import Runner
from edgeprep.registry.offers import in_one_line
from edgeprep.runtime.golden import relative_error
from edgeprep.tensors import TensorSpec
from edgeprep.testing.rules import ConformanceError, forbid_errors, require

__all__ = ["Arrays", "check_closed", "check_runner", "noise", "read_only", "require_refusal"]

THREADS = 4
CALLS = 200  # by each thread
# Some engines divide the work anew at each call, and so sum in another order.
TOLERANCE = 1e-5

Arrays = Sequence[NDArray[Any]]


def check_runner(runner: Runner, samples: Sequence[Arrays], where: str) -> list[Arrays]:
    """The outputs for each of the samples, found to be the same whoever asks, and when."""
    taken, promised = _described(runner.inputs), _described(runner.outputs)
    for sample in samples:
        found = _found(sample)
        require(found == taken, f"{where}: inputs must be {taken}, got {found}")
    with forbid_errors(f"{where}: run() must work on inputs that are read-only"):
        results = [runner.run(sample) for sample in samples]
    for outputs in results:
        kind, found = type(outputs).__name__, _found(outputs)
        require(
            (kind, found) == ("tuple", promised),
            f"{where}: run() must give a tuple of {promised}, got a {kind} of {found}",
        )
    expected: list[Arrays] = [_copies(outputs) for outputs in results]
    inputs = [_copies(sample) for sample in samples]
    again = [runner.run(sample) for sample in reversed(inputs)]
    require(_equal(inputs, samples), f"{where}: run() must not change its inputs, got them changed")
    require(
        _equal(results, expected),
        f"{where}: outputs must belong to the caller, got some that a later call changed",
    )
    require(
        all(map(_agree, reversed(again), expected)),
        f"{where}: the same inputs must give the same outputs, got others after other calls",
    )
    _check_oracle(expected, where)
    _check_threads(runner, samples, expected, where)
    return expected


def _check_oracle(results: Sequence[Arrays], where: str) -> None:
    """Refuse samples by which an answer to another thread's question would go unnoticed."""
    require(len(results) > 1, f"{where}: must be checked with two samples or more, got one")
    for one, other in combinations(range(len(results)), 2):
        require(
            not _agree(results[one], results[other]),
            f"{where}: samples must have outputs that differ, got the same for {one} and {other}; "
            "pass inputs that the model tells apart",
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


def check_closed(runner: Runner, sample: Arrays, where: str) -> None:
    """Raise ConformanceError unless a runner that was closed stays closed."""
    with forbid_errors(f"{where}: close() must do nothing the second time"):
        runner.close()
    require_refusal(f"{where}: run() after close()", ClosedError, partial(runner.run, sample))


def require_refusal(what: str, error: type[EdgePrepError], call: Callable[[], object]) -> None:
    """Raise ConformanceError unless `call` raises `error`."""
    try:
        call()
    except error:
        return
    except Exception as fault:
        raise ConformanceError(
            f"{what} must raise {error.__name__}, got {in_one_line(fault)}"
        ) from fault
    raise ConformanceError(f"{what} must raise {error.__name__}, got a result")


def noise(specs: Sequence[TensorSpec], seed: int) -> list[NDArray[Any]]:
    """Noise for each input: pixel values for integers, -1 to 1 for floats."""
    random = np.random.default_rng(seed)
    arrays = []
    for spec in specs:
        if spec.dtype.startswith("float"):
            array = random.uniform(-1, 1, spec.shape).astype(spec.dtype)
        else:
            array = random.integers(0, 128, spec.shape).astype(spec.dtype)
        arrays.append(array)
    return read_only([arrays])[0]


def read_only(samples: Sequence[Arrays]) -> list[list[NDArray[Any]]]:
    """Copies that whoever gets them cannot change."""
    copies = [_copies(sample) for sample in samples]
    for sample in copies:
        for array in sample:
            array.flags.writeable = False
    return copies


def _described(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.dtype} {spec.shape}" for spec in specs)


def _found(arrays: Arrays) -> str:
    return ", ".join(f"{array.dtype.name} {array.shape}" for array in arrays)


def _copies(arrays: Arrays) -> list[NDArray[Any]]:
    return [array.copy() for array in arrays]


def _equal(ones: Sequence[Arrays], others: Sequence[Arrays]) -> bool:
    return all(
        np.array_equal(one, other)
        for pair in zip(ones, others, strict=True)
        for one, other in zip(*pair, strict=True)
    )


def _agree(actual: Arrays, expected: Arrays) -> bool:
    return relative_error(actual, expected) <= TOLERANCE
