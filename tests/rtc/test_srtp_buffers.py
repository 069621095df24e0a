"""What libsrtp writes stays within the worker's buffers, whichever profiles the browsers agreed on."""

import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi

from rtc import srtp
from rtc.fan_out import PythonFanOut
from rtc.forward import Counters, Forwarder
from rtc.leg import Leg
from rtc.sdp import VP8
from rtc.track import Track
from tests.rtc.raw_client import rtp, vp8

SHORT_TAG = (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30)  # 10 bytes, and the length of its key
LONG_TAG = (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44)  # 16 bytes
HEADER = 12
LONGEST = srtp.BUFFER_BYTES - 10 - HEADER  # payload of the longest packet with a short tag


def session(profile: tuple[int, int], *, sends: bool) -> Session:
    """One end of a stream, with room for packets longer than pylibsrtp's own."""
    number, key = profile
    direction = Policy.SSRC_ANY_OUTBOUND if sends else Policy.SSRC_ANY_INBOUND
    policy = Policy(key=bytes(range(key)), ssrc_type=direction, srtp_profile=number)
    policy.allow_repeat_tx = True
    made = Session(policy)
    made._cdata = ffi.new("char[]", 2 * srtp.BUFFER_BYTES)
    made._buffer = ffi.buffer(made._cdata)
    return made


@pytest.fixture
def viewer() -> Session:
    """The sending session of a viewer whose tag is longer than the publisher's."""
    return session(LONG_TAG, sends=True)


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The worker's end and a viewer's."""
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in ends:
        each.bind(("127.0.0.1", 0))
        each.settimeout(5)
    yield ends[0], ends[1]
    for each in ends:
        each.close()


def test_the_longest_datagram_reaches_a_viewer_with_a_longer_tag(
    viewer: Session, wire: tuple[socket.socket, socket.socket]
) -> None:
    """A datagram that fills the buffer grows by the difference of the tags, now and when resent."""
    packet = rtp(VP8, 7, 3000, 9, vp8(key=True, size=LONGEST))
    datagram = session(SHORT_TAG, sends=True).protect(packet)
    assert len(datagram) == srtp.BUFFER_BYTES
    ours, theirs = wire
    forwarder = Forwarder(Counters(), PythonFanOut(ours))
    track = Track("amina", "video")
    track.live = True
    ice = SimpleNamespace(address=theirs.getsockname())
    there = SimpleNamespace(tx=viewer._srtp[0], ice=ice, watched={}, sent=None)
    leg = Leg(there, track, 1.0)
    publisher = session(SHORT_TAG, sends=False)
    last = srtp.SLOTS - 1
    srtp.received_views[last][:] = datagram
    source = SimpleNamespace(rx=publisher._srtp[0], tracks={VP8: track}, arrivals=None)
    forwarder.packet(source, last, len(datagram), 1.0)
    forwarder.flush(1.0)
    sent = theirs.recv(4096)
    assert len(sent) == len(packet) + 16
    assert session(LONG_TAG, sends=False).unprotect(sent)[HEADER:] == packet[HEADER:]
    assert (leg.sent_packets, leg.sent_bytes) == (1, len(packet))

    kept = leg.kept(7, 1.0)
    again = srtp.protect_rtp(viewer._srtp[0], kept)
    assert session(LONG_TAG, sends=False).unprotect(again) == kept


def test_the_longest_rtcp_packet_is_sealed_whole(viewer: Session) -> None:
    """SRTCP's trailer is the longest: an index and a tag."""
    packet = struct.pack("!BBHI", 0x80, 201, srtp.BUFFER_BYTES // 4 - 1, 1)
    packet = packet.ljust(srtp.BUFFER_BYTES, b"\0")
    sealed = srtp.protect_rtcp(viewer._srtp[0], packet)
    assert session(LONG_TAG, sends=False).unprotect_rtcp(sealed) == packet


def test_a_longer_packet_is_not_sealed(viewer: Session) -> None:
    """The room for the trailer is not room for the packet."""
    packet = rtp(VP8, 1, 1, 1, bytes(srtp.BUFFER_BYTES - HEADER + 1))
    assert srtp.protect_rtp(viewer._srtp[0], packet) == b""
    assert srtp.protect_rtcp(viewer._srtp[0], packet) == b""
