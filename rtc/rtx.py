"""Retransmission as a stream of its own (RFC 4588), for pictures only.

A packet sent again carries its own sequence number; the first two bytes of its payload are the
number it was first sent with.
"""

from rtc.key_frames import payload_at
from rtc.sdp import REPAIR_TYPE

PAYLOAD_TYPES = frozenset(REPAIR_TYPE.values())

_MARKER = 0x80
_PADDED = 0x20
_ORIGINAL_BYTES = 2


def wrap(packet: bytes | bytearray, ssrc: int, sequence: int) -> bytearray:
    """A media packet as it is sent again: as `sequence` of the repair stream `ssrc`."""
    at = payload_at(memoryview(packet))
    again = bytearray(packet[:at]) + packet[2:4] + packet[at:]
    again[1] = packet[1] & _MARKER | REPAIR_TYPE[packet[1] & 0x7F]
    again[2:4] = sequence.to_bytes(2, "big")
    again[8:12] = ssrc.to_bytes(4, "big")
    return again


def unwrap(view: memoryview, size: int) -> int:
    """Makes the media packet of the repair packet in `view`, in place, and answers its size.

    The SSRC stays the repair stream's. 0: there is no packet in it; browsers probe their link so.
    """
    at = payload_at(view[:size])
    padding = view[size - 1] if view[0] & _PADDED else 0
    if at + _ORIGINAL_BYTES >= size - padding:
        return 0
    view[1] = view[1] & _MARKER | (view[1] & 0x7F) - 1
    view[2:4] = view[at : at + _ORIGINAL_BYTES]
    view[at : size - _ORIGINAL_BYTES] = bytes(view[at + _ORIGINAL_BYTES : size])
    return size - _ORIGINAL_BYTES
