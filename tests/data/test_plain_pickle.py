"""Pickles are written by Python's own pickler, and by hand as Python 2 wrote them."""

import os
import pickle  # noqa: TID251 -- writes what the reader has to read without it
import re
import struct
from typing import Any

import numpy as np
import pytest

from edgeprep.data.plain_pickle import read_plain_pickle

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 11


def equal(found: Any, expected: dict[Any, Any]) -> bool:
    return found.keys() == expected.keys() and all(
        np.array_equal(found[key], value) and type(found[key]) is type(value)
        for key, value in expected.items()
    )


@pytest.mark.parametrize("protocol", range(5))
def test_batches_come_as_python_reads_them(protocol: int) -> None:
    batch = {
        b"data": ARRAY,
        b"labels": [*range(300), 70000, -3],
        b"names": [b"a.png", b"\xff\x00"],
        "text": "é蟻",
        b"few": (1, 2, 3, 4),
        b"none": None,
        b"yes": True,
    }
    assert equal(read_plain_pickle(pickle.dumps(batch, protocol)), batch)


def test_arrays_with_their_columns_first() -> None:
    found: Any = read_plain_pickle(pickle.dumps({"data": np.asfortranarray(ARRAY)}, 2))
    assert np.array_equal(found["data"], ARRAY)


def text(value: bytes) -> bytes:
    """A string of Python 2."""
    return b"U" + bytes([len(value)]) + value


def test_batches_that_python_2_wrote() -> None:
    # Operation by operation, as in the published archives: protocol 2, texts as SHORT_BINSTRING.
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85"
        + text(b"b")
        + b"\x87R(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", 6)
        + bytes([0, 1, 127, 128, 200, 255])
        + b"tb"
    )
    labels = b"]q\x04(K\x06K\x09e"
    content = b"\x80\x02}q\x01(" + text(b"labels") + labels + text(b"data") + array + b"u."
    found: Any = read_plain_pickle(content)
    assert equal(
        found,
        {
            "labels": [6, 9],
            "data": np.array([[0, 1, 127], [128, 200, 255]], np.uint8),
        },
    )
    # The hand was right: Python reads the same.
    known = pickle.loads(content, encoding="latin1")  # noqa: S301 -- written above
    assert equal(found, known)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("protocol", range(5))
def test_nothing_is_executed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^must have plain values only, got 'posix\.mkdir'$"):
        read_plain_pickle(pickle.dumps({"data": Harmful()}, protocol))
    assert [*tmp_path.iterdir()] == []


WITHOUT_END = (
    "must be a whole pickle, got one that fails with 'pickle exhausted before seeing STOP'"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", WITHOUT_END),
        (pickle.dumps({"a": ARRAY}, 2)[:-9], WITHOUT_END),
        (b"u.", "must be a whole pickle, got one that fails with StopIteration"),
        (b"}K\x01K\x02u.", "must be a whole pickle, got one that fails with StopIteration"),
        (
            pickle.dumps({b"labels": [1]}, 0)[:8],
            (
                "must be a whole pickle, got one that fails with"
                " 'no newline found when trying to read stringnl'"
            ),
        ),
        (b"h\x07.", "must be a whole pickle, got one that fails with KeyError"),
        (b"K\x01)R.", "must be a whole pickle, got one that fails with TypeError"),
        (b"cnumpy\nndarray\n)R.", "must be a whole pickle, got one that fails with TypeError"),
        (b"K\x01}b.", "must have plain values only, got the state of a <class 'int'>"),
        (
            b"}U\x01acnumpy.core.multiarray\n_reconstruct\n)Rs.",
            "must be a whole pickle, got an array without content",
        ),
        (
            pickle.dumps({"a": np.zeros(3, np.float32)}, 2),
            "must have arrays of unsigned bytes, got 'f4'",
        ),
        (
            pickle.dumps({"a": np.zeros(3, object)}, 2),
            "must have arrays of unsigned bytes, got 'O8'",
        ),
        (pickle.dumps({1, 2}, 4), "must have plain values only, got the operation EMPTY_SET"),
        (
            pickle.dumps({"a": ARRAY}, 5),
            "must have plain values only, got 'numpy._core.numeric._frombuffer'",
        ),
        (b"Pabc\n.", "must have plain values only, got the operation PERSID"),
    ],
    ids=[
        *("empty", "cut short", "no mark", "mark not in sight", "half a line"),
        *("not remembered", "calls a number"),
        *("makes a class", "state of a number", "unfinished", "floats", "objects", "a set"),
        *("buffers", "persistent"),
    ],
)
def test_what_is_not_plain_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_plain_pickle(content)


def test_a_list_that_has_itself_is_no_trap() -> None:
    endless: list[object] = []
    endless.append(endless)
    found: Any = read_plain_pickle(pickle.dumps({"a": endless}, 2))
    assert found["a"][0] is found["a"]


def test_keys_within_keys_do_not_end_the_process() -> None:
    # A tuple of a tuple of a tuple …: hashing it takes a frame of C's stack for each.
    deep = b"\x80\x02}(" + b")" + b"\x85" * 400_000 + b"K\x01u."
    message = r"^must have keys of text, bytes and whole numbers, got <class 'tuple'>$"
    with pytest.raises(ValueError, match=message):
        read_plain_pickle(deep)
