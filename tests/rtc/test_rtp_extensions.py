"""The send time of a slot's packets is hidden, and nothing else of them is touched."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.extensions import hide_send_time
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
