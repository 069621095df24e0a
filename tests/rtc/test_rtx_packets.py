"""A packet sent again travels in a stream of its own and comes out as it went in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc import rtx
from rtc.sdp import H264_CAMERA, H264_SCREEN, VP8
from tests.rtc.raw_client import rtp

EXTENSION = struct.pack("!HH", 0xBEDE, 1) + b"\x31\x01\x02\x00"


@pytest.mark.parametrize("media", [VP8, H264_CAMERA, H264_SCREEN])
@given(st.binary(min_size=1, max_size=40), st.integers(0, 0xFFFF), st.booleans())
def test_unwrap_undoes_wrap(media: int, payload: bytes, number: int, extended: bool) -> None:
    """Payload type, marker, number, extension and payload; only the SSRC stays the repair's."""
    packet = rtp(media, number, 90, 7, payload)
    if extended:
        packet = bytes([packet[0] | 0x10]) + packet[1:12] + EXTENSION + payload
    again = rtx.wrap(packet, 1234, 65535)
    assert again[1] & 0x7F == media + 1
    assert struct.unpack_from("!HII", again, 2) == (65535, 90, 1234)
    assert len(again) == len(packet) + 2
    size = rtx.unwrap(memoryview(again), len(again))
    assert bytes(again[:8]) + packet[8:12] + bytes(again[12:size]) == packet


@given(st.binary(min_size=13, max_size=60))
def test_no_packet_breaks_unwrap(packet: bytes) -> None:
    """Whatever an authenticated member sends, it gets shorter by two, or is nothing."""
    view = memoryview(bytearray(packet))
    assert rtx.unwrap(view, len(packet)) in {0, len(packet) - 2}


def test_a_packet_of_padding_alone_holds_nothing() -> None:
    """Browsers send such to find out what their link carries."""
    packet = bytearray(rtp(VP8 + 1, 1, 1, 7, bytes(9) + b"\x0a"))
    packet[0] |= 0x20
    assert rtx.unwrap(memoryview(packet), len(packet)) == 0
