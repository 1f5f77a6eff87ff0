import pytest

from edgeprep.schema import name_first


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "'a'"),
        (["a", "b"], "'a', 'b'"),
        (["a", "b", "c"], "'a', 'b' and 1 more"),
        (("it's", "b", "c", "d"), "\"it's\", 'b' and 2 more"),
    ],
)
def test_the_first_names_are_said_and_the_others_are_counted(names, text):
    assert name_first(2, names) == text


def test_names_can_be_without_quotes():
    assert name_first(1, {"a.b": 0, "c": 0}, quoted=False) == "a.b and 1 more"
