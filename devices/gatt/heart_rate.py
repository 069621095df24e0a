"""Heart Rate Measurement 0x2A37, notified about once a second.

u8 flags: 0 rate in 16 bits, 1-2 skin contact, 3 energy, 4 RR intervals
u8 or u16 rate | [u16 kJ] | [u16 RR in 1/1024 s, oldest first, as many as there are]
"""

import struct
from enum import IntEnum

import msgspec

from devices.gatt.payload import STRICT, BadPayload, Quirks, known_flags

RR_PER_S = 1024
_WIDE, _ENERGY, _RR = 1, 8, 16
_KNOWN = 0x1F


class Contact(IntEnum):
    """Whether the belt feels skin; 0 and 1 both say that it cannot tell."""

    UNKNOWN = 0
    NOT_SUPPORTED = 1
    NONE = 2
    SKIN = 3


class HeartRate(msgspec.Struct, frozen=True, gc=False):
    """One measurement; `rr` are intervals between beats in 1/1024 s."""

    rate_bpm: int
    contact: Contact = Contact.UNKNOWN
    energy_kj: int | None = None
    rr: tuple[int, ...] | None = None
    wide: bool = False


def decode(data: bytes, *, quirks: Quirks = STRICT) -> HeartRate:
    """The measurement in the payload, or BadPayload."""
    if not data:
        raise BadPayload("too_short", 0)
    flags = known_flags(data[0], _KNOWN, quirks, 0)
    wide = bool(flags & _WIDE)
    head = struct.Struct("<B" + ("H" if wide else "B") + ("H" if flags & _ENERGY else ""))
    if len(data) < head.size:
        raise BadPayload("too_short", len(data))
    fields = head.unpack_from(data)
    rest = len(data) - head.size
    if not flags & _RR:
        if rest and not quirks.trailing_bytes:
            raise BadPayload("too_long", head.size)
        rr = None
    else:
        # Belts that felt no beat set the flag all the same; the standard wants one interval.
        if (rest % 2 or not rest) and not quirks.trailing_bytes:
            raise BadPayload("too_short", len(data))
        rr = struct.unpack_from(f"<{rest // 2}H", data, head.size)
    energy = fields[2] if flags & _ENERGY else None
    return HeartRate(fields[1], Contact(flags >> 1 & 3), energy, rr, wide)


def encode(reading: HeartRate) -> bytes:
    """The payload a belt sends for this measurement."""
    wide = reading.wide or reading.rate_bpm > 0xFF  # noqa: PLR2004 - eight bits
    flags = (_WIDE if wide else 0) | reading.contact << 1
    body = struct.pack("<H" if wide else "<B", reading.rate_bpm)
    if reading.energy_kj is not None:
        flags |= _ENERGY
        body += struct.pack("<H", reading.energy_kj)
    if reading.rr:
        flags |= _RR
        body += struct.pack(f"<{len(reading.rr)}H", *reading.rr)
    return bytes((flags,)) + body
