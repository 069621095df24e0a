"""RTP packets on their way into a recording: read, checked and brought back in order.

What is wrong in a packet is left out; nothing here raises, whatever a sender makes up.
"""

import struct
from typing import NamedTuple

WAIT_S = 0.5  # for a missing packet; a retransmission takes one or two round trips
MOST_HELD = 512
HALF = 0x8000
NEW_BEGINNING = 3000  # a longer jump of the sequence is no loss
MOST_LATE = 100  # so many old packets one after another: the sequence has been set back

_HEADER = struct.Struct(">BBHI")
_FIXED_BYTES = 12
_ONE_BYTE, _TWO_BYTE = 0xBEDE, 0x1000
_LEVEL_ID = 1  # rtc/sdp.py offers ssrc-audio-level (RFC 6464) under this number


class Packet(NamedTuple):
    """One packet; `level` is the voice's loudness in -dBov (0 loud, 127 silent)."""

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    level: int | None
    arrived: float


def parse(data: bytes, arrived: float) -> Packet | None:
    """Reads a packet (RFC 3550, RFC 8285); None when it is none or carries nothing."""
    if len(data) <= _FIXED_BYTES:
        return None
    first, second, sequence, timestamp = _HEADER.unpack_from(data)
    if first >> 6 != 2:  # noqa: PLR2004 - the version
        return None
    at, end, level = _FIXED_BYTES + 4 * (first & 0x0F), len(data), None
    if first & 0x10:
        if end < at + 4:
            return None
        profile, words = int.from_bytes(data[at : at + 2], "big"), data[at + 2] << 8 | data[at + 3]
        level = _level(profile, data[at + 4 : at + 4 + 4 * words])
        at += 4 + 4 * words
    if first & 0x20:
        end -= data[-1] or end  # a padding of 0 bytes does not count itself
    if at >= end:
        return None
    return Packet(sequence, timestamp, second >= 0x80, data[at:end], level, arrived)  # noqa: PLR2004


def _level(profile: int, elements: bytes) -> int | None:
    at = 0
    short = profile == _ONE_BYTE
    if not short and profile & 0xFFF0 != _TWO_BYTE:
        return None
    while at < len(elements):
        if elements[at] == 0:  # padding
            at += 1
            continue
        if short:
            number, size, at = elements[at] >> 4, (elements[at] & 0x0F) + 1, at + 1
            if number == 15:  # noqa: PLR2004 - RFC 8285 4.2: nothing after it counts
                return None
        else:
            if at + 1 >= len(elements):
                return None
            number, size, at = elements[at], elements[at + 1], at + 2
        if number == _LEVEL_ID and size >= 1:
            return elements[at] & 0x7F if at < len(elements) else None
        at += size
    return None


class Reorder:
    """Gives packets out in their order; None stands for those that never came.

    Waits for a missing packet, but never longer than `WAIT_S` nor for more than `MOST_HELD`.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, Packet] = {}  # by sequence number
        self._late = 0

    def put(self, packet: Packet) -> list[Packet | None]:
        """What may be given out now that this packet is here."""
        if self._next is None:
            self._next = packet.sequence
        ahead = (packet.sequence - self._next) & 0xFFFF
        if ahead == 0 and not self._held:
            self._next = (packet.sequence + 1) & 0xFFFF
            self._late = 0
            return [packet]
        if ahead >= HALF:
            self._late += 1
            return self._begin_anew(packet) if self._late > MOST_LATE else []
        self._late = 0
        if ahead > NEW_BEGINNING:
            return self._begin_anew(packet)
        self._held.setdefault(packet.sequence, packet)
        out = self._run()
        while len(self._held) > MOST_HELD:
            out += self._skip()
        return out

    def expire(self, now: float) -> list[Packet | None]:
        """What may be given out because the time of waiting is over."""
        out: list[Packet | None] = []
        while self._held and now - min(each.arrived for each in self._held.values()) >= WAIT_S:
            out += self._skip()
        return out

    def _begin_anew(self, packet: Packet) -> list[Packet | None]:
        out: list[Packet | None] = []
        while self._held:
            out += self._skip()
        self._late = 0
        self._next = (packet.sequence + 1) & 0xFFFF
        return [*out, None, packet]

    def _run(self) -> list[Packet | None]:
        out: list[Packet | None] = []
        while self._next is not None and (packet := self._held.pop(self._next, None)) is not None:
            out.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return out

    def _skip(self) -> list[Packet | None]:
        """Gives up the missing ones before the first that is held."""
        start = self._next or 0
        self._next = min(self._held, key=lambda sequence: (sequence - start) & 0xFFFF)
        return [None, *self._run()]
