"""Extensions are found in whatever a member sends; hiding the send time touches nothing else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.extensions import RID, element, hide_send_time, rid
from rtc.sdp import OPUS
from tests.rtc.raw_client import rtp

LEVEL, TIME = b"\x10\xaa", b"\x22\x01\x02\x03"
HIDDEN = b"\xe2\x01\x02\x03"


def extended(elements: bytes, payload: bytes = b"\x22voice", csrcs: int = 0) -> bytearray:
    """A packet with these one-byte elements, padded to whole words."""
    plain = rtp(OPUS, 1, 1, 1, b"")
    padded = elements + bytes(-len(elements) % 4)
    head = bytes([plain[0] | 0x10 | csrcs]) + plain[1:] + bytes(4 * csrcs)
    return bytearray(head + struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded + payload)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TIME, HIDDEN),
        (LEVEL + TIME, LEVEL + HIDDEN),
        (b"\x00\x00" + TIME, b"\x00\x00" + HIDDEN),
        (LEVEL, LEVEL),
        (b"\xf0", b"\xf0"),
    ],
)
def test_only_the_send_time_is_renamed(before: bytes, after: bytes) -> None:
    """Its element keeps length and place; level, payload and CSRCs stay."""
    for csrcs in (0, 2):
        packet = extended(before, csrcs=csrcs)
        hide_send_time(memoryview(packet))
        assert packet == extended(after, csrcs=csrcs)


@pytest.mark.parametrize(
    ("elements", "name"),
    [
        (b"\xa0q", "q"),
        (LEVEL + TIME + b"\xa2abc", "abc"),
        (b"\xa0\xff", "\ufffd"),
        (b"\xb0q", ""),  # a repaired one
        (b"\xf0\x00\xa0q", ""),  # nothing may be read after id 15
        (b"\xa4abc", ""),  # cut
    ],
)
def test_a_packet_names_its_layer(elements: bytes, name: str) -> None:
    """By the rid extension, whatever stands before it."""
    packet = extended(elements, payload=b"")
    assert rid(memoryview(packet)) == name
    at = element(memoryview(packet), RID)
    assert bool(at) == bool(name)


def test_a_packet_without_extension_stays() -> None:
    """Also one whose payload looks like one."""
    packet = bytearray(rtp(OPUS, 1, 1, 1, b"\xbe\xde\x00\x01" + TIME))
    before = bytes(packet)
    hide_send_time(memoryview(packet))
    assert packet == before


@given(st.binary(min_size=12, max_size=60), st.integers(0, 15))
def test_no_packet_breaks_the_search(packet: bytes, csrcs: int) -> None:
    """Whatever an authenticated member sends, its length stays and nothing is raised."""
    changed = bytearray(
        bytes([0x90 | csrcs]) + packet[1:12] + bytes(4 * csrcs) + b"\xbe\xde" + packet
    )
    size = len(changed)
    hide_send_time(memoryview(changed))
    assert len(changed) == size
    assert isinstance(rid(memoryview(changed)), str)
