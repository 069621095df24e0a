"""The payload descriptor of VP8 (RFC 7741 section 4.2): picture id and TL0PICIDX, read and patched.

A viewer who is moved from one layer to another must see both go on without a gap. A cut or hostile
packet has neither: nothing here raises.
"""

from dataclasses import dataclass

from rtc.key_frames import payload_at

SHORT, LONG = 0x7F, 0x7FFF  # a picture id has seven bits or fifteen
_TL0 = 0xFF


@dataclass
class Ids:
    """The newest ids of one stream; None for what its packets do not carry."""

    picture_id: int | None = None
    picture_mask: int = LONG
    tl0: int | None = None


def _places(packet: memoryview) -> tuple[int, int, int]:
    """Where the picture id lies, its mask, and where TL0PICIDX lies; 0: it is not there."""
    at = payload_at(packet)
    if len(packet) < at + 2 or not packet[at] & 0x80:
        return 0, LONG, 0
    extension = packet[at + 1]
    at += 2
    picture_at, mask = 0, LONG
    if extension & 0x80:
        if len(packet) <= at:
            return 0, LONG, 0
        picture_at, mask = at, (LONG if packet[at] & 0x80 else SHORT)
        at += 2 if mask == LONG else 1
        if len(packet) < at:
            return 0, LONG, 0
    tl0_at = at if extension & 0x40 and len(packet) > at else 0
    return picture_at, mask, tl0_at


def read(packet: memoryview) -> Ids:
    """The ids of one packet."""
    picture_at, mask, tl0_at = _places(packet)
    ids = Ids(picture_mask=mask)
    if picture_at:
        ids.picture_id = _picture_id(packet, picture_at, mask)
    if tl0_at:
        ids.tl0 = packet[tl0_at]
    return ids


def _picture_id(packet: memoryview, at: int, mask: int) -> int:
    return packet[at] if mask == SHORT else (packet[at] & 0x7F) << 8 | packet[at + 1]


def seen(ids: Ids, packet: memoryview) -> None:
    """Remembers a packet's ids if they are newer."""
    picture_at, mask, tl0_at = _places(packet)
    if picture_at:
        new = _picture_id(packet, picture_at, mask)
        if ids.picture_id is None or (new - ids.picture_id) & mask <= mask >> 1:
            ids.picture_id, ids.picture_mask = new, mask
    if tl0_at:
        new = packet[tl0_at]
        if ids.tl0 is None or (new - ids.tl0) & _TL0 <= _TL0 >> 1:
            ids.tl0 = new


def patch(packet: memoryview, picture_id_offset: int, tl0_offset: int) -> None:
    """Adds the offsets to the ids, in place; a packet without them stays as it is."""
    picture_at, mask, tl0_at = _places(packet)
    if picture_at:
        moved = (_picture_id(packet, picture_at, mask) + picture_id_offset) & mask
        if mask == SHORT:
            packet[picture_at] = moved
        else:
            packet[picture_at] = 0x80 | moved >> 8
            packet[picture_at + 1] = moved & 0xFF
    if tl0_at:
        packet[tl0_at] = (packet[tl0_at] + tl0_offset) & _TL0
