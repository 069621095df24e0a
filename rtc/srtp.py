"""SRTP in place: libsrtp's functions on buffers that live as long as the process.

pylibsrtp's own `Session.protect` copies three times and allocates; at thousands of packets a second
that is most of the cost, so its cffi binding is called directly. tests/rtc/test_aiortc_contract.py
names every private thing used here.
"""

from typing import Any

from pylibsrtp import SRTP_MAX_SRTCP_TRAILER_LEN

from rtc.aiortc_parts import ffi, lib

BUFFER_BYTES = 2048  # a longer datagram is cut here, so its tag is wrong
SLOTS = 32  # datagrams of one wake-up
# libsrtp knows no bound, and a viewer's tag may be longer than the one the publisher's packet had.
OUTGOING_BYTES = BUFFER_BYTES + SRTP_MAX_SRTCP_TRAILER_LEN
OK = lib.srtp_err_status_ok

_received = ffi.new("char[]", SLOTS * BUFFER_BYTES)
_outgoing = ffi.new("char[]", SLOTS * OUTGOING_BYTES)


def _slots(buffer: Any, size: int) -> tuple[list[Any], list[memoryview]]:
    view = memoryview(ffi.buffer(buffer))
    starts = range(0, SLOTS * size, size)
    return [buffer + at for at in starts], [view[at : at + size] for at in starts]


# The worker is one thread: what one wake-up has received is opened, patched and forwarded before
# the next.
received, received_views = _slots(_received, BUFFER_BYTES)
outgoing, outgoing_views = _slots(_outgoing, OUTGOING_BYTES)
length = ffi.new("int *")

protect = lib.srtp_protect
copy = ffi.memmove

Session = Any  # srtp_t


def unprotect(session: Session, slot: int, size: int) -> int:
    """Opens the RTP packet in a slot; its plain size, 0 when forged or replayed."""
    length[0] = size
    plain: int = length[0] if lib.srtp_unprotect(session, received[slot], length) == OK else 0
    return plain


def unprotect_rtcp(session: Session, slot: int, size: int) -> bytes:
    """Opens the RTCP packet in a slot; empty when forged or replayed."""
    length[0] = size
    if lib.srtp_unprotect_rtcp(session, received[slot], length) != OK:
        return b""
    return bytes(received_views[slot][: length[0]])


def protect_rtcp(session: Session, packet: bytes) -> bytes:
    """Seals an RTCP packet; empty when it is too long or libsrtp refuses."""
    return _seal(lib.srtp_protect_rtcp, session, packet)


def protect_rtp(session: Session, packet: bytes) -> bytes:
    """Seals an RTP packet; empty when it is too long or libsrtp refuses."""
    return _seal(lib.srtp_protect, session, packet)


def _seal(function: Any, session: Session, packet: bytes) -> bytes:
    if len(packet) > BUFFER_BYTES:  # or the trailer would lie outside
        return b""
    outgoing_views[0][: len(packet)] = packet
    length[0] = len(packet)
    if function(session, outgoing[0], length) != OK:
        return b""
    return bytes(outgoing_views[0][: length[0]])
