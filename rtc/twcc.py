"""Transport-wide feedback: when each packet of a transport arrived, from either side.

draft-holmer-rmcat-transport-wide-cc-extensions-01. Every packet carries a running number of its
transport in a header extension; feedback names numbers and arrival times in steps of 250 us.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby
from typing import NamedTuple, cast

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
FORMAT = 15  # of RTCP type 205
RTPFB = 205

TICK_S = 250e-6
WIRE_BYTES = 44  # of a packet beside its own: IPv4, UDP and the seal
SLOTS = 1024  # packets remembered a transport: 2 s of 4 Mbit/s; a power of two
MOST_NUMBERS = 4096  # in one packet; many after an outage
MOST_TOLD = 500  # arrivals in one packet, so that it fits into a datagram
SILENT_S = 1.0
TOGETHER_S = 0.01
FEW, SELDOM_S = 4, 0.2  # so few packets are told of less often: the way back may be as thin
KEEP_S = 0.5  # a packet this late may still be told

_TICKS_PER_REFERENCE = 256  # 64 ms
_REFERENCE_BITS = 24
_FIXED = struct.Struct("!BBHIIHHI")
_LONGEST_RUN = 0x1FFF
_LOST, _SMALL, _LARGE = 0, 1, 2
_HALF = 0x8000
_MASK = SLOTS - 1
_FARTHEST = 0x7FFF  # ticks between neighbours
_CLOCK = 0xFFFFFFFF


class BadFeedbackError(ValueError):
    """Bytes that are no feedback of this kind."""


@dataclass(frozen=True)
class Feedback:
    """Arrival of the packets from number `base` on, in ticks; None: not arrived so far."""

    base: int
    count: int  # running number of the feedback packets
    ticks: Sequence[int | None]  # of a clock of 32 bits


def pack(sender: int, media: int, feedback: Feedback) -> bytes:
    """The RTCP packet. Neighbours' times must lie within 8 s, and at least one must be there."""
    ticks = feedback.ticks
    first = next(each for each in ticks if each is not None)
    reference = (first // _TICKS_PER_REFERENCE) & ((1 << _REFERENCE_BITS) - 1)
    before = first - first % _TICKS_PER_REFERENCE
    symbols, deltas = [], bytearray()
    for each in ticks:
        if each is None:
            symbols.append(_LOST)
            continue
        delta, before = each - before, each
        if 0 <= delta <= 0xFF:  # noqa: PLR2004 - one byte
            symbols.append(_SMALL)
            deltas.append(delta)
        else:
            symbols.append(_LARGE)
            deltas += struct.pack("!h", delta)
    body = b"".join(struct.pack("!H", each) for each in _chunks(symbols)) + deltas
    padding = -(_FIXED.size + len(body)) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    head = _FIXED.pack(
        0x80 | (0x20 if padding else 0) | FORMAT,
        RTPFB,
        (_FIXED.size + len(body)) // 4 - 1,
        sender,
        media,
        feedback.base,
        len(ticks),
        reference << 8 | feedback.count & 0xFF,
    )
    return head + body


def _chunks(symbols: list[int]) -> list[int]:
    """Long runs as such, the rest as vectors of 14 one-bit or 7 two-bit symbols."""
    runs = [[symbol, len(list(same))] for symbol, same in groupby(symbols)]
    chunks, at, i = [], 0, 0  # `i` is the run that holds the symbol `at`
    while at < len(symbols):
        symbol, left = runs[i]
        few = symbols[at : at + 14]
        wide = _LARGE in few
        if left >= (7 if wide else 14) or left == len(symbols) - at:
            taken = min(left, _LONGEST_RUN)
            chunks.append(symbol << 13 | taken)
        elif wide:
            few = few[:7]
            taken = len(few)
            chunks.append(0xC000 | sum(each << (12 - 2 * n) for n, each in enumerate(few)))
        else:
            taken = len(few)
            chunks.append(0x8000 | sum(each << (13 - n) for n, each in enumerate(few)))
        at += taken
        while taken and i < len(runs):
            step = min(taken, runs[i][1])
            runs[i][1] -= step
            taken -= step
            if not runs[i][1]:
                i += 1
    return chunks


def parse(packet: bytes) -> Feedback:
    """Reads a whole RTCP packet with its header; raises `BadFeedbackError`."""
    try:
        fields = _FIXED.unpack_from(packet)
        symbols, at = _symbols(packet, fields[6])
        now = (fields[7] >> 8) * _TICKS_PER_REFERENCE
        ticks: list[int | None] = []
        if symbols.count(_SMALL) == len(symbols):  # as nearly always
            deltas = packet[at : at + len(symbols)]
            at += len(symbols)
            ticks += accumulate(deltas, initial=now)
            del ticks[0]
            symbols = []
        for symbol in symbols:
            if symbol == _SMALL:
                now += packet[at]
                at += 1
                ticks.append(now)
            elif symbol == _LARGE:
                now += int.from_bytes(packet[at : at + 2], "big", signed=True)
                at += 2
                ticks.append(now)
            else:
                ticks.append(None)
            if symbol > _LARGE:
                raise BadFeedbackError("a symbol without meaning")
    except (struct.error, IndexError) as cut:
        raise BadFeedbackError("cut short") from cut
    if at > len(packet):
        raise BadFeedbackError("cut short")
    return Feedback(fields[5], fields[7] & 0xFF, ticks)


def _symbols(packet: bytes, count: int) -> tuple[list[int], int]:
    if not 0 < count <= MOST_NUMBERS:
        raise BadFeedbackError("too many packets, or none")
    symbols: list[int] = []
    at = _FIXED.size
    while len(symbols) < count:
        chunk = packet[at] << 8 | packet[at + 1]
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13] * min(chunk & _LONGEST_RUN, count - len(symbols))
            if not chunk & _LONGEST_RUN:
                raise BadFeedbackError("a run of nothing")
        else:
            symbols += _vector(chunk)
    return symbols[:count], at


@lru_cache(maxsize=4096)
def _vector(chunk: int) -> tuple[int, ...]:
    if chunk & 0x4000:
        return tuple(chunk >> shift & 3 for shift in range(12, -1, -2))
    return tuple(chunk >> shift & 1 for shift in range(13, -1, -1))


class Arrivals:
    """What arrived of a publisher's transport and is not told yet; `put` in the hot path."""

    def __init__(self) -> None:
        self._at: dict[int, float] = {}  # by number without wrapping
        self._highest: int | None = None
        self._newest_at = 0.0
        self._next = 0  # the first one to tell
        self._count = 0
        self._told_at = 0.0

    def put(self, number: int, now: float) -> None:
        """Takes the number of a packet that has just arrived; the first of doubles counts."""
        highest = self._highest
        if highest is None:
            highest = self._next = self._highest = number + 0x10000
            self._newest_at = now
        index = highest + ((number - highest + _HALF) & 0xFFFF) - _HALF
        if index > highest:
            if index - highest > SLOTS:  # a new beginning, not a loss
                self._at.clear()
                self._next = index
            elif now - self._newest_at > SILENT_S and self._next > highest:
                self._next = index  # what went into a dead link says nothing of it
            self._next = max(self._next, index - MOST_NUMBERS + 1)  # else hostile gaps add up
            self._highest, self._newest_at = index, now
        elif highest - index >= SLOTS:
            return
        elif index < self._next:  # late: told as lost before, it is told again
            self._next = index
        self._at.setdefault(index, now)

    def is_worth_telling(self, now: float) -> bool:
        """Whether there is enough to tell for a packet, or it has waited long enough."""
        waiting = 0 if self._highest is None else self._highest + 1 - self._next
        return waiting >= FEW or now - self._told_at >= SELDOM_S

    def feedback(self, now: float) -> list[Feedback]:
        """What to tell the sender now; nothing when nothing new has come."""
        if self._highest is None or self._next > self._highest:
            return []
        found: list[Feedback] = []
        base, ticks, arrived = self._next, list[int | None](), 0
        last = None
        for index in range(self._next, self._highest + 1):
            at = self._at.get(index)
            tick = None if at is None else int(at / TICK_S)
            if tick is not None:
                far = last is not None and abs(tick - last) > _FARTHEST
                if far or arrived == MOST_TOLD:
                    found.append(self._piece(base, ticks))
                    base, ticks, arrived = index, [], 0
                last = tick
                arrived += 1
            ticks.append(tick)
        found.append(self._piece(base, ticks))
        self._next, self._told_at = self._highest + 1, now
        self._at = {index: at for index, at in self._at.items() if now - at < KEEP_S}
        return found

    def _piece(self, base: int, ticks: list[int | None]) -> Feedback:
        count, self._count = self._count, (self._count + 1) & 0xFF
        return Feedback(base & 0xFFFF, count, ticks)


class Row(NamedTuple):
    """Packets that left together and have arrived, by the clock of each end."""

    first_sent: float
    sent: float  # the last of them
    first_arrived: float
    arrived: float
    size: int
    packets: int


class Told(NamedTuple):
    """What a viewer's feedback says of the packets we sent, in the order of sending."""

    rows: list[Row]
    lost: int


class Sent:
    """Send times and sizes of the last packets to one viewer; `take` in the hot path."""

    def __init__(self) -> None:
        self.count = array("Q", [0])  # the next number, without wrapping; C fills it in too
        self.times = array("d", bytes(8 * SLOTS))
        self.sizes = array("H", bytes(2 * SLOTS))  # 0: told as arrived, or never sent
        self._clock: int | None = None  # his newest tick, without wrapping

    def take(self, size: int, now: float) -> int:
        """The number of the packet that leaves now."""
        index = self.count[0]
        self.count[0] = index + 1
        slot = index & _MASK
        self.times[slot] = now
        self.sizes[slot] = size
        return index & 0xFFFF

    def told(self, feedback: Feedback) -> Told:
        """Joins a feedback with what was sent; each packet counts as arrived once."""
        newest = self.count[0] - 1
        base = newest - ((newest - feedback.base) & 0xFFFF)
        shift = self._shift(feedback.ticks)
        ticks = feedback.ticks
        begin = base & _MASK
        end = begin + len(ticks)
        if max(-1, newest - SLOTS) < base <= newest - len(ticks) + 1 and end <= SLOTS:
            sizes = self.sizes[begin:end]
            if (
                0 not in sizes and None not in ticks
            ):  # nothing lost or told before, as nearly always
                self.sizes[begin:end] = array("H", bytes(2 * len(ticks)))
                times = self.times[begin:end]
                return Told(_rows(times, cast("Sequence[int]", ticks), sizes, shift), 0)
        return self._told_singly(base, newest, ticks, shift)

    def _told_singly(self, base: int, newest: int, ticks: Sequence[int | None], shift: int) -> Told:
        times, arrived, sizes = list[float](), list[int](), list[int]()
        lost = 0
        first = max(base, newest - SLOTS + 1, 0)
        for index, tick in enumerate(ticks[first - base : newest + 1 - base], first):
            slot = index & _MASK
            size = self.sizes[slot]
            if not size:
                continue
            if tick is None:
                lost += 1
            else:
                self.sizes[slot] = 0
                times.append(self.times[slot])
                arrived.append(tick)
                sizes.append(size)
        return Told(_rows(times, arrived, sizes, shift), lost)

    def _shift(self, ticks: Sequence[int | None]) -> int:
        first = next((each for each in ticks if each is not None), None)
        if first is None:
            return 0
        if self._clock is None:
            self._clock = first
        ahead = (first - self._clock) & _CLOCK
        self._clock += ahead - (_CLOCK + 1 if ahead > _CLOCK >> 1 else 0)
        return self._clock - first


def _rows(
    times: Sequence[float], ticks: Sequence[int], sizes: Sequence[int], shift: int
) -> list[Row]:
    """What left within `TOGETHER_S` as one row: a frame, or some voice."""
    rows, at = list[Row](), 0
    while at < len(times):
        end = bisect_right(times, times[at] + TOGETHER_S, at)
        part = ticks[at:end]
        first, last = (min(part) + shift) * TICK_S, (max(part) + shift) * TICK_S
        rows.append(Row(times[at], times[end - 1], first, last, sum(sizes[at:end]), end - at))
        at = end
    return rows
