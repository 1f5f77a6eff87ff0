"""Pictures that two kinds of data share."""

from edgeprep.train.overlap import overlaps


def test_shared_pictures_are_counted_by_where_they_are_asked_for():
    digests = {
        "data.training": (b"a", b"b", b"b"),
        "data.validation": (b"c", b"b"),
        "data.evaluation": (b"b", b"b", b"d", b"c"),
    }
    rest = "too, identical to the pixel; a score on them says little of new pictures"
    assert overlaps(digests) == (
        f"1 of the 2 pictures of data.validation are in data.training, {rest}",
        f"2 of the 4 pictures of data.evaluation are in data.training, {rest}",
        f"3 of the 4 pictures of data.evaluation are in data.validation, {rest}",
    )


def test_data_apart_are_worth_no_word():
    assert overlaps({"data.training": (b"a",), "data.evaluation": (b"b",)}) == ()
