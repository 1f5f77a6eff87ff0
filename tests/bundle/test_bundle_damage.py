"""Damage: no change of a bundle's bytes goes unnoticed."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprep.bundle import read_bundle
from edgeprep.errors import BundleError, BundleFormatError, BundleTruncated, DigestError


def refused(read, content):
    try:
        read(bytes(content))
    except BundleError:
        return True
    return False


def test_the_undamaged_bundle_opens(read, content):
    assert read(content).manifest.name == "digits"


def test_a_bundle_cut_short_at_any_byte_is_refused(read, content):
    accepted = [size for size in range(len(content)) if not refused(read, content[:size])]

    assert accepted == []


def test_a_bundle_cut_short_says_so_at_every_length(read, content):
    # Inside the magic, too: what is there is the start of a bundle.
    for size in range(len(content)):
        with pytest.raises(BundleTruncated, match=r"^x\.edgeprep: must be .* long, got \d+"):
            read(content[:size])


def test_any_flipped_bit_is_refused(read, content):
    damaged = bytearray(content)
    accepted = []
    for position in range(len(content)):
        for bit in range(8):
            damaged[position] ^= 1 << bit
            if not refused(read, damaged):
                accepted.append((position, bit))
            damaged[position] ^= 1 << bit

    assert accepted == []


@pytest.mark.parametrize("extra", [b"\0", b"\n", bytes(64), b"EDGEPREP"])
def test_bytes_before_and_after_a_bundle_are_refused(read, content, extra):
    assert refused(read, content + extra)
    assert refused(read, extra + content)


def test_bytes_after_the_last_member_are_named(read, content):
    rule = rf"^x\.edgeprep: must be {len(content)} bytes long, got {len(content) + 2}$"
    with pytest.raises(BundleFormatError, match=rule):
        read(content + b"\0\0")


def test_a_bundle_cut_short_is_told_how_long_it_should_be(read, content):
    rule = (
        rf"^x\.edgeprep: must be {len(content)} bytes long, got {len(content) - 1}; "
        r"it was cut short, copy it again$"
    )
    with pytest.raises(BundleTruncated, match=rule):
        read(content[:-1])


def test_a_changed_member_is_named_with_both_digests(read, content):
    position = content.index(bytes(range(200)))
    damaged = content[:position] + b"\1" + content[position + 1 :]

    rule = (
        r"^x\.edgeprep: member 'variants/onnx-fp32/model\.onnx' must have sha256 [0-9a-f]{64}, "
        r"got [0-9a-f]{64}; it was damaged, copy it again$"
    )
    with pytest.raises(DigestError, match=rule):
        read(damaged)


def test_a_changed_manifest_is_refused_before_it_is_decoded(read, content):
    rule = r"^x\.edgeprep: manifest must have sha256 .*; it was damaged, copy it again$"
    with pytest.raises(DigestError, match=rule):
        read(content.replace(b'"name":"digits"', b'"name":"\xff\xff{[}]"'))


def test_a_file_that_shrinks_while_it_is_read_is_refused(content):
    class Shrinking(io.BytesIO):
        def read(self, size=-1, /):
            self.truncate(len(content) - 1)
            return super().read(size)

    rule = r"^x\.edgeprep: must not change while it is read, got a shorter file$"
    with pytest.raises(BundleTruncated, match=rule):
        read_bundle(Shrinking(content), "x.edgeprep")


def test_bytes_between_members_must_be_zero(read, content, members):
    # The member before it is 96 bytes long, so 32 bytes of padding follow.
    position = content.index(members["golden/graph/input"]) + 100
    assert content[position] == 0
    damaged = content[:position] + b"\1" + content[position + 1 :]

    rule = r"^x\.edgeprep: must have zeros between members, got other bytes$"
    with pytest.raises(BundleFormatError, match=rule):
        read(damaged)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_bytes_put_in_taken_out_or_moved_are_refused(data, read, content):
    at = data.draw(st.integers(0, len(content)), label="at")
    kind = data.draw(st.sampled_from(["insert", "delete", "swap"]))
    if kind == "insert":
        damaged = content[:at] + data.draw(st.binary(min_size=1, max_size=70)) + content[at:]
    elif kind == "delete":
        damaged = content[:at] + content[at + data.draw(st.integers(1, 70)) :]
    else:
        blocks = [content[start : start + 64] for start in range(0, len(content), 64)]
        first, second = data.draw(st.tuples(*[st.integers(0, len(blocks) - 1)] * 2))
        blocks[first], blocks[second] = blocks[second], blocks[first]
        damaged = b"".join(blocks)

    assert damaged == content or refused(read, damaged)


@settings(max_examples=300, deadline=None)
@given(head=st.sampled_from([b"", b"EDGEPREP", b"EDGEPREP\1" + bytes(7)]), tail=st.binary())
def test_no_bytes_at_all_get_out_another_error(read, head, tail):
    assert refused(read, head + tail)
