"""Tables as the text of a recipe."""

import tomllib

import pytest

from edgeprep.importers import to_toml


def test_one_block_a_stage_with_its_keys_in_a_column():
    tables = [
        {"use": "resize", "size": 256, "mode": "short", "antialias": False},
        {"use": "normalize", "mean": (0.485, 0.5), "std": [0.1, 1e-05]},
    ]
    assert to_toml(tables) == (
        "[[preprocess]]\n"
        'use       = "resize"\n'
        "size      = 256\n"
        'mode      = "short"\n'
        "antialias = false\n"
        "[[preprocess]]\n"
        'use  = "normalize"\n'
        "mean = [0.485, 0.5]\n"
        "std  = [0.1, 1e-05]"
    )


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'quotes " and \\ back',
        "tab\tnewline\nnul\0delete\x7f",
        "grey é 灰 \U0001f5bc",
        0,
        -5,
        2**62,
        True,
        1.0,
        1e300,
        -1.5e-07,
        float("inf"),
        float("-inf"),
        [],
        [[1, 2], ["a"]],
        {"a": 1, "b c": {"d": [True]}},
    ],
    ids=repr,
)
def test_what_is_written_reads_back(value):
    text = to_toml([{"use": "x", "a key": value}])
    assert tomllib.loads(text) == {"preprocess": [{"use": "x", "a key": value}]}


def test_nan_reads_back():
    (table,) = tomllib.loads(to_toml([{"use": float("nan")}]))["preprocess"]
    assert str(table["use"]) == "nan"


def test_no_tables_are_no_text():
    assert to_toml([]) == ""


def test_a_value_without_a_word_in_toml():
    with pytest.raises(TypeError, match=r"^TOML has no word for NoneType$"):
        to_toml([{"use": None}])
