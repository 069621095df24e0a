"""VP8's picture id and TL0PICIDX are read and moved in place (RFC 7741 section 4.2)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc import vp8
from rtc.sdp import VP8
from tests.rtc.raw_client import rtp


def packet(payload: bytes) -> memoryview:
    """A VP8 packet of this payload."""
    return memoryview(bytearray(rtp(VP8, 1, 1, 1, payload)))


@pytest.mark.parametrize(
    ("payload", "picture_id", "tl0"),
    [
        (b"\x10\x10", None, None),  # no extension
        (b"\x90\x80\x05\x10", 5, None),
        (b"\x90\x80\x85\x06\x10", 0x506, None),
        (b"\x90\xe0\x85\x06\x07\x20\x10", 0x506, 7),
        (b"\x90\xe0\x05\x07\x20\x10", 5, 7),
        (b"\x90\x40\x07\x10", None, 7),
        (b"\x90\x20\x20\x10", None, None),  # TID alone
        (b"\x90\x80\x85", None, None),  # cut in the id
        (b"\x90\x80", None, None),
        (b"\x90\xc0\x05", 5, None),  # cut before TL0PICIDX
        (b"\x90", None, None),
        (b"", None, None),
    ],
)
def test_ids_are_read_and_moved(payload: bytes, picture_id: int | None, tl0: int | None) -> None:
    """Each width of the id, with and without TL0PICIDX; what is cut has none and stays."""
    plain = packet(payload)
    ids = vp8.read(plain)
    assert (ids.picture_id, ids.tl0) == (picture_id, tl0)
    before = bytes(plain)
    vp8.patch(plain, 3, 2)
    moved = vp8.read(plain)
    assert moved.picture_id == (None if picture_id is None else picture_id + 3)
    assert moved.tl0 == (None if tl0 is None else tl0 + 2)
    assert len(plain) == len(before)
    vp8.patch(plain, -3, -2)
    assert bytes(plain) == before


@pytest.mark.parametrize(
    ("payload", "after"),
    [
        (b"\x90\xc0\xff\xff\xff\x10", b"\x90\xc0\x80\x00\x00\x10"),
        (b"\x90\xc0\x7f\xff\x10", b"\x90\xc0\x00\x00\x10"),
    ],
    ids=["15 bits", "7 bits"],
)
def test_ids_wrap_in_their_own_width(payload: bytes, after: bytes) -> None:
    """After the highest comes 0, and the mark of the long form stays."""
    plain = packet(payload)
    vp8.patch(plain, 1, 1)
    assert plain[12:] == after


def test_the_newest_ids_are_remembered_over_a_wrap() -> None:
    """An older picture that comes late is not the newest."""
    ids = vp8.Ids()
    for payload in (b"\x90\xc0\xff\xff\xff\x10", b"\x90\xc0\x80\x00\x00\x10"):
        vp8.seen(ids, packet(payload))
    assert (ids.picture_id, ids.tl0) == (0, 0)
    vp8.seen(ids, packet(b"\x90\xc0\xff\xff\xff\x10"))
    assert (ids.picture_id, ids.tl0) == (0, 0)
    vp8.seen(ids, packet(b"\x10\x10"))
    assert (ids.picture_id, ids.tl0) == (0, 0)


@settings(max_examples=50)
@given(st.binary(min_size=12, max_size=40), st.integers(), st.integers(0, 255))
def test_no_packet_breaks_the_ids(data: bytes, picture_id: int, tl0: int) -> None:
    """Whatever an authenticated member sends, its length stays and nothing is raised."""
    plain = bytearray(data)
    vp8.seen(vp8.Ids(), memoryview(plain))
    vp8.patch(memoryview(plain), picture_id, tl0)
    assert len(plain) == len(data)
