"""Whatever a session is given, every engine says the same of it."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from numpy.typing import NDArray

import edgeprep
from edgeprep.bundle import open_bundle
from edgeprep.conversion import Result
from edgeprep.errors import (
    BackendError,
    DTypeError,
    ImageTooLarge,
    InputError,
    ShapeError,
)
from edgeprep.interfaces import Backend, Runner
from edgeprep_onnx import OnnxRuntimeBackend
from edgeprep_openvino import OpenVINOBackend
from edgeprep_tflite import LiteRTBackend

# Converters and engines warn of their own future; what they compute is what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

Picture = NDArray[np.uint8]
Sessions = Mapping[str, edgeprep.Session]

ENGINES = {"onnxruntime": "onnx-fp32", "openvino": "openvino-fp32", "litert": "tflite-fp32"}
# More are asked for by who has the time.
EXAMPLES = int(os.environ.get("ARRAYS_TO_TRY", "300"))
RNG = np.random.default_rng(5)
PICTURE = RNG.integers(0, 256, (40, 52, 3), np.uint8)


@pytest.fixture(scope="module")
def sessions(result: Result) -> Iterator[Sessions]:
    """One session an engine, of the float network."""
    with ExitStack() as stack:
        yield {
            engine: stack.enter_context(edgeprep.open(result.bundle, prefer=variant, probe=False))
            for engine, variant in ENGINES.items()
        }


def verdict(session: edgeprep.Session, given: object) -> tuple[type, str]:
    """What `session` says of `given`: the kind and the words of its error, or its label."""
    try:
        return str, session(given).label  # type: ignore[arg-type]
    except InputError as error:
        return type(error), str(error)


def refused_alike(sessions: Sessions, given: object, kind: type[InputError]) -> str:
    """The words in which all engines refuse `given`."""
    found = {engine: verdict(session, given) for engine, session in sessions.items()}
    (same,) = set(found.values())
    assert same[0] is kind
    return same[1]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        *((name, name) for name in ("float64", "float32", "float16", "int8", "int64", "bool")),
        *((name, name) for name in ("uint16", "complex64", "complex128", "object")),
        (">u2", "uint16"),
        (">f4", "float32"),
        ("<U4", "str128"),
        ("S4", "bytes32"),
        ("datetime64[s]", "datetime64[s]"),
        ([("r", "u1"), ("g", "u1")], "void16"),
    ],
)
def test_another_type_of_numbers_is_refused_in_the_same_words(
    sessions: Sessions, dtype: Any, name: str
) -> None:
    said = refused_alike(sessions, np.zeros((40, 52, 3), dtype), DTypeError)
    assert said == (
        f"picture: must have dtype uint8, values 0 to 255, got {name!r}; "
        "scaling and normalization are part of the preprocessing"
    )


@pytest.mark.parametrize("given", [None, [], "photo.png", 3, {"image": PICTURE}, [PICTURE]])
def test_what_is_no_array_is_refused_and_never_answered_with_the_last_result(
    sessions: Sessions, given: object
) -> None:
    for session in sessions.values():
        session(PICTURE)
    said = refused_alike(sessions, given, DTypeError)
    assert said == (
        f"picture: must be a numpy array, got {type(given).__name__!r}; "
        "edgeprep.pictures.read_picture reads files"
    )


@pytest.mark.parametrize(
    "shape",
    [
        *((), (3,), (40, 52), (3, 40, 52), (40, 52, 1), (40, 52, 4), (1, 40, 52, 3)),
        *((0, 52, 3), (40, 0, 3), (40, 52, 0), (1, 1, 40, 52, 3)),
    ],
)
def test_another_shape_is_refused_in_the_same_words(
    sessions: Sessions, shape: tuple[int, ...]
) -> None:
    said = refused_alike(sessions, np.zeros(shape, np.uint8), ShapeError)
    rule = f"picture: must have shape (height, width, 3), got {shape}"
    assert said.startswith(rule)
    hints = {3: "; layout is HWC, this looks like CHW", 4: "; pictures go one at a time, or all to"}
    if shape in ((3, 40, 52), (1, 40, 52, 3)):
        assert said.removeprefix(rule).startswith(hints[len(shape)])


class Own(np.ndarray[Any, Any]):
    """What an application may make of arrays."""


def on_disk(picture: Picture, folder: Path) -> Picture:
    stored = np.memmap(folder / "picture", np.uint8, "w+", shape=picture.shape)
    stored[:] = picture
    stored.flush()
    return np.memmap(folder / "picture", np.uint8, "r", shape=picture.shape)


LAYOUTS: Mapping[str, Callable[[Picture, Path], Picture]] = {
    "fortran order": lambda p, _: np.asfortranarray(p),
    "every other row": lambda p, _: np.repeat(p, 2, axis=0)[::2],
    "upside down and back": lambda p, _: np.ascontiguousarray(p[::-1, ::-1])[::-1, ::-1],
    "channels first, moved": lambda p, _: np.moveaxis(
        np.ascontiguousarray(np.moveaxis(p, 2, 0)), 0, 2
    ),
    "cut out of a larger one": lambda p, _: np.pad(p, ((3, 5), (7, 1), (1, 1)))[3:-5, 7:-1, 1:-1],
    "masked": lambda p, _: np.ma.masked_array(p, mask=p > 250),
    "subclass": lambda p, _: p.view(Own),
    "on the disk": on_disk,
    "at an odd address": lambda p, _: np.frombuffer(b"x" + p.tobytes(), np.uint8)[1:].reshape(
        p.shape
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_changes_no_answer_and_the_picture_stays_as_it_is(
    sessions: Sessions, tmp_path: Path, layout: str
) -> None:
    given = LAYOUTS[layout](PICTURE, tmp_path)
    given.flags.writeable = False
    for session in sessions.values():
        np.testing.assert_array_equal(session.outputs(given)[0], session.outputs(PICTURE)[0])
    np.testing.assert_array_equal(np.asarray(given), PICTURE)


def test_answers_that_are_kept_are_not_changed_by_later_calls(sessions: Sessions) -> None:
    others = RNG.integers(0, 256, (20, 40, 52, 3), np.uint8)
    for session in sessions.values():
        kept = session.outputs(PICTURE)[0]
        before, result = kept.copy(), session(PICTURE)
        label, scores = result.label, result.scores.copy()
        answers = [session.outputs(other)[0] for other in others]
        np.testing.assert_array_equal(kept, before)
        assert result.label == label
        np.testing.assert_array_equal(result.scores, scores)
        # Each belongs to the caller, who may do with it what he likes.
        assert not any(np.shares_memory(kept, answer) for answer in answers)
        kept[:] = np.nan
        np.testing.assert_array_equal(session.outputs(PICTURE)[0], before)


def test_a_picture_that_another_thread_changes_meanwhile_breaks_nothing(
    sessions: Sessions,
) -> None:
    shared, stop = PICTURE.copy(), threading.Event()

    def change() -> None:
        rng = np.random.default_rng(1)
        while not stop.is_set():
            shared[rng.integers(40)] ^= np.uint8(255)

    painter = threading.Thread(target=change)
    painter.start()
    try:
        for session in sessions.values():
            for _ in range(100):
                assert np.isfinite(session.outputs(shared)[0]).all()
    finally:
        stop.set()
        painter.join()
    for session in sessions.values():
        np.testing.assert_array_equal(session.outputs(shared)[0], session.outputs(shared.copy())[0])


def test_a_picture_of_two_gigabytes_is_refused_before_it_is_copied(sessions: Sessions) -> None:
    # It repeats one byte, so that only a copy of it would take memory.
    huge = np.broadcast_to(np.uint8(7), (26755, 26755, 3))
    said = refused_alike(sessions, huge, ImageTooLarge)
    assert said == "picture: must have at most 2147483647 bytes, got 2147490075"


def test_all_engines_answer_the_same(sessions: Sessions) -> None:
    sizes = ((1, 1), (1, 977), (64, 64), (480, 3), (333, 517))
    for size in sizes:
        picture = RNG.integers(0, 256, (*size, 3), np.uint8)
        first, *rest = (session.outputs(picture)[0] for session in sessions.values())
        for other in rest:
            # Sums in another order: 1e-6 a layer, of the largest output.
            assert np.abs(other - first).max() <= 1e-4 * np.abs(first).max()


NEAR_MISSES = arrays(
    np.uint8, st.sampled_from([(9, 7, 3), (1, 1, 3), (9, 7), (3, 9, 7), (9, 7, 4), (0, 7, 3)])
)
ANYTHING = arrays(scalar_dtypes(), array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6))


@settings(max_examples=EXAMPLES, deadline=None)
@given(array=NEAR_MISSES | ANYTHING, wrapper=st.sampled_from([np.asarray, np.ma.masked_array]))
def test_any_array_gets_the_same_answer_or_the_same_refusal(
    sessions: Sessions, array: NDArray[Any], wrapper: Any
) -> None:
    array = wrapper(array)
    right = array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size
    found = {engine: verdict(session, array) for engine, session in sessions.items()}
    kinds = {kind for kind, _ in found.values()}
    if right:
        assert kinds == {str}
        return
    ((kind, words),) = set(found.values())
    assert issubclass(kind, InputError)
    assert re.match(r"picture: must have (shape|dtype) ", words)


BACKENDS: tuple[type[Backend], ...] = (OnnxRuntimeBackend, OpenVINOBackend, LiteRTBackend)


@pytest.fixture(scope="module")
def runners(result: Result) -> Iterator[Mapping[str, Runner]]:
    """The float network in each engine, as a backend gives it."""
    bundle, made = open_bundle(result.bundle), {}
    for backend_class in BACKENDS:
        backend = backend_class()
        variant = bundle.variant(f"{backend.formats[0]}-fp32")
        device = backend.devices()[0]
        options = backend.options(device, "fp32")[0]
        made[backend.name] = backend.load(bundle.model(variant), device, options)
    yield made
    for runner in made.values():
        runner.close()


INPUT = RNG.integers(0, 256, (1, 64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param((), id="none"),
        pytest.param((INPUT, INPUT), id="one too many"),
        pytest.param((None,), id="nothing"),
        pytest.param((INPUT.astype(np.float32),), id="float"),
        pytest.param((INPUT.astype(np.int64),), id="wide"),
        pytest.param((INPUT.astype(bool),), id="bool"),
        pytest.param((INPUT[:, :32],), id="half"),
        pytest.param((INPUT[0],), id="no batch"),
        pytest.param((INPUT.transpose(0, 3, 1, 2).copy(),), id="channels first"),
    ],
)
def test_an_engine_refuses_what_it_does_not_take_and_goes_on(
    runners: Mapping[str, Runner], inputs: tuple[Any, ...]
) -> None:
    for name, runner in runners.items():
        (before,) = runner.run((INPUT,))
        with pytest.raises(BackendError, match=rf"^backend '{name}': "):
            runner.run(inputs)
        np.testing.assert_array_equal(runner.run((INPUT,))[0], before)
