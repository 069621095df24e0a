"""SRTP in place: libsrtp's functions on two buffers that live as long as the process.

pylibsrtp's own `Session.protect` copies three times and allocates; at thousands of packets a second
that is most of the cost, so its cffi binding is called directly. tests/rtc/test_aiortc_contract.py
names every private thing used here.
"""

from typing import Any

from pylibsrtp import SRTP_MAX_SRTCP_TRAILER_LEN

from rtc.aiortc_parts import ffi, lib

BUFFER_BYTES = 2048  # a longer datagram is cut here, so its tag is wrong
_OK = lib.srtp_err_status_ok

# The worker is one thread: a packet is received, opened, patched and forwarded before the next.
received = ffi.new("char[]", BUFFER_BYTES)
received_view = memoryview(ffi.buffer(received))
# libsrtp knows no bound, and a viewer's tag may be longer than the one the publisher's packet had.
outgoing = ffi.new("char[]", BUFFER_BYTES + SRTP_MAX_SRTCP_TRAILER_LEN)
outgoing_view = memoryview(ffi.buffer(outgoing))
length = ffi.new("int *")

protect = lib.srtp_protect
copy = ffi.memmove

Session = Any  # srtp_t


def unprotect_received(session: Session, size: int) -> int:
    """Opens the RTP packet in `received`; its plain size, 0 when forged or replayed."""
    length[0] = size
    return length[0] if lib.srtp_unprotect(session, received, length) == _OK else 0


def unprotect_received_rtcp(session: Session, size: int) -> bytes:
    """Opens the RTCP packet in `received`; empty when forged or replayed."""
    length[0] = size
    if lib.srtp_unprotect_rtcp(session, received, length) != _OK:
        return b""
    return bytes(received_view[: length[0]])


def protect_rtcp(session: Session, packet: bytes) -> bytes:
    """Seals an RTCP packet; empty when it is too long or libsrtp refuses."""
    return _seal(lib.srtp_protect_rtcp, session, packet)


def protect_rtp(session: Session, packet: bytes) -> bytes:
    """Seals an RTP packet; empty when it is too long or libsrtp refuses."""
    return _seal(lib.srtp_protect, session, packet)


def _seal(function: Any, session: Session, packet: bytes) -> bytes:
    if len(packet) > BUFFER_BYTES:  # or the trailer would lie outside
        return b""
    outgoing_view[: len(packet)] = packet
    length[0] = len(packet)
    if function(session, outgoing, length) != _OK:
        return b""
    return bytes(outgoing_view[: length[0]])
