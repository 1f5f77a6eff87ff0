"""Pictures for random access, and what tells them apart."""

import numpy as np
import pytest

from edgeprep.data import Samples, Skipped, prepare_samples
from edgeprep.data.digest import digest_of
from edgeprep.data.held import hold_samples
from edgeprep.errors import DataError, StorageError
from edgeprep.stages.chain import Chain
from edgeprep.stages.resize import Resize
from edgeprep.tensors import ImageSpec

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (2 + i, 3, 1 if i == 2 else 3), dtype=np.uint8) for i in range(5)]


def samples(items, **options):
    return Samples(lambda: items, where="data.training", description="pictures", **options)


@pytest.mark.parametrize("again", [False, True], ids=["written", "read again"])
def test_pictures_of_any_size_come_back_in_any_order(again):
    items = [(PICTURES[0], 4), Skipped(name="x", reason="y"), *((p, 5) for p in PICTURES[1:]), *[]]
    read = (lambda place: items[place][0]) if again else None
    # One in ten may be unreadable.
    items += [(PICTURES[0], 6)] * 5
    held = hold_samples(samples(items, reread=read), "data.training")
    assert held.labels == (4, 5, 5, 5, 5, 6, 6, 6, 6, 6)
    for index in (3, 0, 2, 4, 1, 9):
        assert np.array_equal(held[index], PICTURES[index] if index < 5 else PICTURES[0])
    assert held.digests[0] == held.digests[9] != held.digests[1]


def test_a_picture_that_cannot_be_read_again_is_an_error_of_the_data():
    def read(place):
        raise StorageError("a.png: gone")

    held = hold_samples(samples([PICTURES[0]], reread=read), "data.training")
    with pytest.raises(DataError, match=r"^data\.training") as fault:
        held[0]
    assert str(fault.value) == (
        "data.training: sample 0 must be there as long as it is learned from, got 'a.png: gone'"
    )


def test_digests_are_the_same_for_the_same_content_alone():
    picture = PICTURES[3]
    assert digest_of(picture) == digest_of(np.asfortranarray(picture))
    assert digest_of(picture) != digest_of(picture.transpose(1, 0, 2))
    other = picture.copy()
    other[-1, -1, -1] ^= 1
    assert digest_of(picture) != digest_of(other)
    assert len(digest_of(picture)) == 16


def test_prepared_samples_have_the_digests_of_what_they_were_made_from():
    host = Chain(input=ImageSpec(), stages=(Resize(size=(2, 2)),))
    large = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    prepared = prepare_samples(samples([PICTURES[0], large]), host, "data.training")
    assert prepared.digests == (digest_of(PICTURES[0]), digest_of(large))
