"""In which order readings of one device belong, which came twice, which are missing.

A link repeats, delays and shuffles; whatever it does, the same readings end in the same state.
`Order` is that state: which numbers were seen, with what content. It holds a window of the newest
numbers, so that it never grows: what is older is for the store to judge (`OLD`).

`number` gives a record the number it is stored under. A meter's own sequence number is not enough:
it starts again at 1 with a new battery, and a cuff has none.
"""

import struct
import zlib
from bisect import insort
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

_SECONDS = 2**32
_LOW_BITS: Final = 21
_NUMBERED: Final = 1 << 20


def number(
    device_sequence: int | None, device_time: datetime | None, values: dict[str, float]
) -> int:
    """The number a record is stored under: from its own clock, and its sequence number or values.

    The device's time as the record has it, before any repair: it is the same at every download.
    """
    seconds = 0
    if device_time is not None:
        aware = device_time.replace(tzinfo=UTC) if device_time.tzinfo is None else device_time
        seconds = int(aware.timestamp()) % _SECONDS
    if device_sequence is not None:
        return seconds << _LOW_BITS | _NUMBERED | device_sequence % 2**16
    told = b"".join(
        name.encode() + b"\0" + struct.pack("<d", value) for name, value in sorted(values.items())
    )
    return seconds << _LOW_BITS | zlib.crc32(told) % _NUMBERED


def numbered(stored_as: int) -> tuple[int, int] | None:
    """The device's time in seconds and its sequence number behind a number; None without one."""
    if not stored_as & _NUMBERED:
        return None
    return stored_as >> _LOW_BITS, stored_as % 2**16


class Verdict(StrEnum):
    """What a reading that came is, judged by those that came before."""

    NEW = "new"
    REPEATED = "repeated"
    # Another content under a number in use: a device that counts anew, or a damaged record.
    REUSED = "reused"
    # Below the window: only the store knows.
    OLD = "old"


class Numbered(msgspec.Struct, frozen=True, order=True):
    """A reading as far as its place is concerned; `content` is a digest of what it says."""

    sequence: int
    taken_at: datetime
    content: bytes


class Gap(msgspec.Struct, frozen=True):
    """Numbers that have not come, both ends included."""

    first: int
    last: int


class Snapshot(msgspec.Struct, frozen=True):
    """The state, to be stored and gone on from: readings of the window in order."""

    readings: tuple[Numbered, ...]


# Rivals kept under one number: the first few in order, whoever came first.
RIVALS: Final = 4


class Order:
    """Readings of one device, numbered one by one; pure, no clock.

    `window` numbers below the highest are remembered. Whatever the order of arrival, the state is
    that of the same readings in any other order.
    """

    def __init__(self, *, window: int = 4096, known: Snapshot | None = None) -> None:
        if window < 1:
            raise ValueError("a window of at least one number")
        self._window = window
        self._seen: dict[int, list[Numbered]] = {}
        self._highest = -1
        for one in known.readings if known is not None else ():
            self._put(one)

    def take(self, one: Numbered) -> Verdict:
        """Take a reading that came; say what it is."""
        if one.sequence <= self._highest - self._window:
            return Verdict.OLD
        return self._put(one)

    def _put(self, one: Numbered) -> Verdict:
        rivals = self._seen.setdefault(one.sequence, [])
        same = next((other for other in rivals if other.content == one.content), None)
        if same is not None:
            # Its time may have been repaired in between: the earliest, whichever came first.
            rivals.remove(same)
            insort(rivals, min(same, one))
            return Verdict.REPEATED
        verdict = Verdict.REUSED if rivals else Verdict.NEW
        insort(rivals, one)
        del rivals[RIVALS:]
        if one.sequence > self._highest:
            self._forget(one.sequence)
        return verdict

    def _forget(self, highest: int) -> None:
        """Move the window up; each number is forgotten once."""
        lowest, before = highest - self._window, self._highest - self._window
        self._highest = highest
        if lowest - before > len(self._seen):
            gone = [sequence for sequence in self._seen if sequence <= lowest]
        else:
            gone = [old for old in range(before + 1, lowest + 1) if old in self._seen]
        for sequence in gone:
            del self._seen[sequence]

    @property
    def highest(self) -> int:
        """The highest number that came; -1 before the first."""
        return self._highest

    def gaps(self) -> tuple[Gap, ...]:
        """Numbers missing between those of the window, lowest first."""
        found, before = [], None
        for sequence in sorted(self._seen):
            if before is not None and sequence > before + 1:
                found.append(Gap(before + 1, sequence - 1))
            before = sequence
        return tuple(found)

    def reused(self) -> tuple[int, ...]:
        """Numbers under which different readings came."""
        return tuple(used for used, rivals in sorted(self._seen.items()) if len(rivals) > 1)

    def snapshot(self) -> Snapshot:
        """All there is to know, the same for the same readings."""
        readings = tuple(one for _, rivals in sorted(self._seen.items()) for one in rivals)
        return Snapshot(readings)
