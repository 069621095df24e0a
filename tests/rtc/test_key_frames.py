"""H264 key frames are told apart in every packetisation of RFC 6184."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc.key_frames import begins_h264_sets, is_h264_key_frame
from rtc.sdp import H264_CAMERA
from tests.rtc.raw_client import h264, rtp

SPS, PPS, IDR, SLICE, SEI, AUD = (
    b"\x67\x42",
    b"\x68\xce",
    b"\x65\xb8",
    b"\x41\x9a",
    b"\x06\x05",
    b"\x09\xf0",
)


def stap(*nals: bytes) -> bytes:
    """A STAP-A of these NAL units."""
    return b"\x78" + b"".join(struct.pack("!H", len(each)) + each for each in nals)


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (IDR, True),
        (SPS, True),
        (PPS, False),  # the parameter sets begin with the SPS
        (SLICE, False),
        (SEI, False),
        (stap(SPS, PPS), True),
        (stap(SPS, PPS, IDR), True),
        (stap(AUD, SPS, PPS), True),
        (stap(SEI, IDR), True),
        (stap(SEI, SLICE), False),
        (stap(), False),
        (b"\x7c\x85\x88", True),  # FU-A, first fragment of an IDR
        (b"\x7c\x05\x88", False),  # its middle
        (b"\x7c\x45\x88", False),  # its end
        (b"\x7c\x81\x9a", False),  # first fragment of a slice
        (b"\x7c", False),
        (b"\x78\x00", False),
        (b"\x78\x00\x00\x00", False),
        (b"\x78\xff\xff\x41\x67", False),  # a length past the end
        (b"\x65", False),
        (b"", False),
        (h264(key=True), True),
        (h264(key=False), False),
    ],
)
def test_h264_key_frames_are_told_apart(payload: bytes, key: bool) -> None:
    """Single NAL unit, STAP-A and FU-A; a cut packet is no key frame."""
    assert is_h264_key_frame(memoryview(rtp(H264_CAMERA, 1, 1, 1, payload))) is key


@pytest.mark.parametrize(
    ("payload", "sets"),
    [(SPS, True), (stap(AUD, SPS, PPS), True), (IDR, False), (stap(SEI, IDR), False), (b"", False)],
)
def test_an_idr_picture_without_its_sets_is_no_place_to_switch(payload: bytes, sets: bool) -> None:
    """A decoder of another size would read it by the parameters that it has."""
    assert begins_h264_sets(memoryview(rtp(H264_CAMERA, 1, 1, 1, payload))) is sets


def test_an_h264_key_frame_is_found_behind_a_header_extension() -> None:
    """CSRCs and the one-byte extension are skipped."""
    plain = rtp(H264_CAMERA, 1, 1, 1, b"")
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x22\x01\x02\x03"
    packet = bytes([plain[0] | 0x11]) + plain[1:] + bytes(4) + extension + stap(SPS, PPS)
    assert is_h264_key_frame(memoryview(packet))


@given(st.binary(min_size=12, max_size=80))
def test_no_packet_breaks_the_h264_check(packet: bytes) -> None:
    """Whatever an authenticated member sends, the answer is yes or no."""
    assert is_h264_key_frame(memoryview(packet)) in {True, False}
    assert begins_h264_sets(memoryview(packet)) in {True, False}


@given(st.binary(max_size=60))
def test_no_stap_breaks_the_h264_check(nals: bytes) -> None:
    """Random lengths inside a STAP-A end the search, also a length of nothing."""
    packet = rtp(H264_CAMERA, 1, 1, 1, b"\x78" + nals)
    assert is_h264_key_frame(memoryview(packet)) in {True, False}
