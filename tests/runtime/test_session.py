"""The session: what it takes, what it refuses, and how long it lives."""

import gc
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from numpy.typing import NDArray

import edgeprep
from edgeprep.errors import (
    BackendError,
    ClosedError,
    DTypeError,
    ImageTooLarge,
    InputError,
    ShapeError,
)
from edgeprep.runtime import Session, from_rgb
from edgeprep.stages.picture import check_picture
from edgeprep.tensors import ImageSpec

Picture = NDArray[np.uint8]


@pytest.fixture
def session(bundle: Path, fakes: SimpleNamespace) -> Iterator[Session]:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Right)) as session:
        yield session


def test_outputs_are_the_networks_numbers(session: Session, picture: Picture) -> None:
    (means,) = session.outputs(picture)
    np.testing.assert_array_equal(means, [[10, 200, 30]])


def test_a_batch_gives_one_result_a_picture_in_order(session: Session, picture: Picture) -> None:
    turned = picture[..., ::-1], picture, np.roll(picture, 1, axis=2)
    assert [result.label for result in session.batch(turned)] == ["green", "green", "blue"]
    assert [result.label for result in session.batch(np.stack(turned))] == [
        "green",
        "green",
        "blue",
    ]


def test_a_batch_with_one_bad_picture_runs_none(session: Session, picture: Picture) -> None:
    with pytest.raises(DTypeError, match=r"^pictures\[1\]: must have dtype .* got 'float32'"):
        session.batch([picture, picture.astype(np.float32)])
    with pytest.raises(DTypeError, match=r"^pictures\[2\]: must be a numpy array, got 'NoneType'"):
        session.batch([picture, picture, None])  # type: ignore[list-item]
    assert session.metrics().steps == {}


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda p: np.asfortranarray(p), id="fortran order"),
        pytest.param(lambda p: np.repeat(p, 2, axis=0)[::2], id="strided"),
        pytest.param(lambda p: p[::-1, ::-1], id="negative strides"),
        pytest.param(lambda p: np.broadcast_to(p[0, 0], (4, 4, 3)), id="broadcast"),
    ],
)
def test_strides_do_not_matter_and_the_picture_is_not_touched(
    session: Session, picture: Picture, view: object
) -> None:
    given = view(picture)  # type: ignore[operator]
    given.flags.writeable = False
    before = given.copy()
    (means,) = session.outputs(given)
    np.testing.assert_array_equal(means, [[10, 200, 30]])
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("picture", "kind", "message"),
    [
        (
            None,
            DTypeError,
            (
                "picture: must be a numpy array, got 'NoneType'; "
                "edgeprep.pictures.read_picture reads files"
            ),
        ),
        (
            "photo.png",
            DTypeError,
            "picture: must be a numpy array, got 'str'; edgeprep.pictures.read_picture reads files",
        ),
        (
            np.full((4, 4, 3), np.nan, np.float32),
            DTypeError,
            (
                "picture: must have dtype uint8, values 0 to 255, got 'float32'; "
                "scaling and normalization are part of the preprocessing"
            ),
        ),
        (
            np.zeros((4, 4, 3), np.int64),
            DTypeError,
            (
                "picture: must have dtype uint8, values 0 to 255, got 'int64'; "
                "scaling and normalization are part of the preprocessing"
            ),
        ),
        (
            np.zeros((3, 4, 4), np.uint8),
            ShapeError,
            "picture: must have shape (4, 4, 3), got (3, 4, 4); layout is HWC, this looks like CHW",
        ),
        (
            np.zeros((1, 4, 4, 3), np.uint8),
            ShapeError,
            (
                "picture: must have shape (4, 4, 3), got (1, 4, 4, 3); "
                "pictures go one at a time, or all to session.batch()"
            ),
        ),
        (
            np.zeros((4, 4), np.uint8),
            ShapeError,
            (
                "picture: must have shape (4, 4, 3), got (4, 4); "
                "a picture of one channel has a last axis of length 1"
            ),
        ),
        (
            np.zeros((4, 4, 4), np.uint8),
            ShapeError,
            "picture: must have shape (4, 4, 3), got (4, 4, 4); drop the alpha channel",
        ),
        (
            np.zeros((5, 4, 3), np.uint8),
            ShapeError,
            "picture: must have shape (4, 4, 3), got (5, 4, 3)",
        ),
        (
            np.zeros((0, 4, 3), np.uint8),
            ShapeError,
            "picture: must have shape (4, 4, 3), got (0, 4, 3)",
        ),
    ],
)
def test_what_is_no_such_picture_is_refused_before_any_engine_sees_it(
    session: Session, picture: object, kind: type[InputError], message: str
) -> None:
    with pytest.raises(kind, match="picture: must") as fault:
        session(picture)  # type: ignore[arg-type]
    assert str(fault.value) == message


NEAR_MISSES = arrays(np.uint8, st.sampled_from([(4, 4, 3), (4, 4), (3, 4, 4), (4, 4, 0), (1,)]))
ANYTHING = arrays(scalar_dtypes(), array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5))


# The fixture is one session for all examples, which is what an application has, too.
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=NEAR_MISSES | ANYTHING, wrapper=st.sampled_from([np.asarray, np.ma.masked_array]))
def test_any_array_gives_a_result_or_an_input_error(
    session: Session, array: NDArray[Any], wrapper: Any
) -> None:
    given_array = wrapper(array)
    right = array.dtype == np.uint8 and array.shape == (4, 4, 3)
    if right:
        expected = array.mean(axis=(0, 1), dtype=np.float32)
        np.testing.assert_array_equal(session.outputs(given_array)[0][0], expected)
    else:
        with pytest.raises(InputError, match=r"^picture: must have (shape|dtype) "):
            session(given_array)


def test_pictures_of_any_size_pass_where_the_size_is_free() -> None:
    free = ImageSpec()
    assert check_picture(np.zeros((1, 977, 3), np.uint8), free).shape == (1, 977, 3)
    with pytest.raises(ShapeError, match=r"must have shape \(height, width, 3\), got \(0, 5, 3\)"):
        check_picture(np.zeros((0, 5, 3), np.uint8), free)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (None, "pictures: must be several, or an array (N, H, W, C), got 'NoneType'"),
        (3, "pictures: must be several, or an array (N, H, W, C), got 'int'"),
        (np.array(3), "pictures: must have shape (N, H, W, C), got ()"),
        (
            np.zeros((4, 4, 3), np.uint8),
            (
                "pictures: must have shape (N, H, W, C), got (4, 4, 3); "
                "one picture goes to session()"
            ),
        ),
    ],
    ids=["None", "number", "scalar", "one picture"],
)
def test_a_batch_that_is_none_is_refused(session: Session, pictures: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        session.batch(pictures)


def test_what_an_engine_raises_becomes_our_error(
    session: Session, fakes: SimpleNamespace, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Right, "compute", fakes.Raising.compute)
    message = (
        "session 'means': fake-fp32 right cpu threads=1 must run, got RuntimeError: device lost"
    )
    with pytest.raises(BackendError, match=f"^{message}$") as fault:
        session(picture)
    assert isinstance(fault.value.__cause__, RuntimeError)


def test_a_closed_session_refuses_and_closing_again_does_nothing(
    session: Session, picture: Picture
) -> None:
    assert not session.closed
    session.close()
    session.close()
    assert session.closed
    with pytest.raises(ClosedError, match="session 'means': must be open") as fault:
        session(picture)
    assert str(fault.value) == "session 'means': must be open, got a call after close()"


def test_a_session_is_closed_at_the_end_of_a_with_block(
    bundle: Path, fakes: SimpleNamespace, picture: Picture
) -> None:
    with edgeprep.open(bundle, probe=False, registry=fakes.registry(fakes.Right)) as session:
        session(picture)
    with pytest.raises(ClosedError, match="got a call after close"):
        session(picture)


def test_an_engine_that_cannot_be_closed_hides_no_error_of_the_block(
    bundle: Path, fakes: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    registry = fakes.registry(fakes.Clinging)
    with (
        pytest.raises(LookupError, match=r"^of the application$"),
        edgeprep.open(bundle, probe=False, registry=registry),
    ):
        raise LookupError("of the application")
    assert caplog.messages == ["a runner could not be closed: RuntimeError('device busy')"]


def told_by_a_fork(use: Callable[[], object]) -> str:
    """What `use` raises in a fork of this process."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            use()
            told = b"no error"
        except BaseException as fault:  # noqa: BLE001 -- the child only tells what happened
            told = f"{type(fault).__name__}: {fault}".encode()
        os.write(write, told)
        os._exit(0)
    os.waitpid(child, 0)
    answer = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    return answer


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
# jax, which a converter of another test may have imported, warns of any fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_is_refused_at_once(session: Session, picture: Picture) -> None:
    assert told_by_a_fork(lambda: session(picture)) == (
        "ForkedRunnerError: session 'means': must be used in the process that opened it, got a "
        "fork; open it in the child, with multiprocessing's 'spawn'"
    )


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
# Tests before it in this process may have loaded JAX, which warns of every fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
def test_a_fork_never_closes_the_engine_which_would_wait_for_threads_that_it_lacks(
    session: Session, fakes: SimpleNamespace, picture: Picture
) -> None:
    def alive() -> int:
        gc.collect()
        # NOTE: not isinstance, which asks every object, of any library, for its __class__.
        return sum(issubclass(type(one), fakes.Runner) for one in gc.get_objects())

    def leave_the_block() -> None:
        before = alive()
        with session:
            pass
        # NOTE: an engine is freed with the last reference to it, also without being closed.
        raise LookupError(f"{fakes.Right.open_runners} open, {before - alive()} freed")

    assert told_by_a_fork(leave_the_block) == "LookupError: ['right'] open, 0 freed"
    assert session(picture).label == "green"


def test_threads_may_share_a_session(session: Session) -> None:
    wrong: list[int] = []

    def hammer(seed: int) -> None:
        for picture in np.random.default_rng(seed).integers(0, 256, (300, 4, 4, 3), np.uint8):
            expected = picture.mean(axis=(0, 1), dtype=np.float32)
            if not np.array_equal(session.outputs(picture)[0][0], expected):
                wrong.append(seed)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_rgb_files_are_turned_into_what_a_bundle_takes(picture: Picture) -> None:
    assert from_rgb(picture, ImageSpec()) is picture
    np.testing.assert_array_equal(from_rgb(picture, ImageSpec(color="bgr")), picture[..., ::-1])
    # 0.299 * 10 + 0.587 * 200 + 0.114 * 30 = 123.81
    assert from_rgb(picture, ImageSpec(color="grey")).tolist() == np.full((4, 4, 1), 124).tolist()


class Own(np.ndarray[Any, Any]):
    """What an application may make of arrays: here, sums that are none."""

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("not computed with")


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda p: np.ma.masked_array(p, mask=p > 20), id="masked"),
        pytest.param(lambda p: p.view(Own), id="subclass"),
    ],
)
def test_of_subclasses_all_pixels_count(
    session: Session, picture: Picture, wrap: Callable[[Picture], Picture]
) -> None:
    given = wrap(picture)
    for taken in (check_picture(given, session.input), *session.stream([given])):
        assert type(taken) is not type(given)
    np.testing.assert_array_equal(session.outputs(given)[0], [[10, 200, 30]])


@pytest.mark.parametrize(
    ("rows", "fault"), [(2**31 - 1, None), (2**31, ImageTooLarge)], ids=["allowed", "one too many"]
)
def test_a_picture_may_have_two_gigabytes_and_no_byte_more(
    rows: int, fault: type[InputError] | None
) -> None:
    huge = np.broadcast_to(np.uint8(7), (rows, 1, 1))
    grey = ImageSpec(color="grey")
    if fault is None:
        assert check_picture(huge, grey) is huge
        return
    message = "picture: must have at most 2147483647 bytes, got 2147483648"
    with pytest.raises(fault, match=f"^{message}$"):
        check_picture(huge, grey)
