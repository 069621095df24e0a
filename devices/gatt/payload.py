"""What all payloads share: the refusal, the quirks of a model, optional groups, date and time."""

import calendar
import struct
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from devices.gatt.floats import SFLOATS, Number, half_floats, tolerant_sfloats

FIRST_YEAR = 1582


class BadPayload(Exception):  # noqa: N818 - a refusal, named as the fact it states
    """Bytes that are no such payload: one short code, and the offset of what is wrong.

    Codes: too_short, too_long, reserved_flag, time_invalid, size, checksum, opcode, length.
    """

    def __init__(self, code: str, offset: int) -> None:
        super().__init__(f"{code} at {offset}")
        self.code = code
        self.offset = offset


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """How a model departs from the standard; a row of devices/gatt/models.py names its own.

    * trailing_bytes: more bytes than the flags announce are ignored (strict: too_long);
    * reserved_flags: a flag nobody has defined yet is ignored (strict: reserved_flag); several at
      once are another format under this number, and refused all the same;
    * special_any_exponent: 0xF7FF too is "not a number" (strict: 204.7);
    * ieee_floats: IEEE 754 halves where SFLOAT is due, and singles where FLOAT is;
    * swapped_pulse_status: pulse and status of a cuff with the high byte first;
    * user_without_flag: a cuff's user number is there though its flag is not set;
    * utc_clock: its date and time are UTC (the standard: the user's local time, without a zone).
    """

    trailing_bytes: bool = False
    reserved_flags: bool = False
    special_any_exponent: bool = False
    ieee_floats: bool = False
    swapped_pulse_status: bool = False
    user_without_flag: bool = False
    utc_clock: bool = False

    def sfloats(self) -> list[Number]:
        """The number each of the 65,536 SFLOATs is, to this model."""
        if self.ieee_floats:
            return half_floats()
        return tolerant_sfloats() if self.special_any_exponent else SFLOATS


STRICT = Quirks()
TOLERANT = Quirks(trailing_bytes=True, reserved_flags=True, special_any_exponent=True)


class PartialTime(msgspec.Struct, frozen=True):
    """A date and time of which the device knows a part: 0 is unknown, but never in the clock."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


# The user's local time as the device's clock shows it: it sends no zone.
DeviceTime = datetime | PartialTime
TIME = struct.Struct("<HBBBBB")


def device_time(parts: Sequence[int], offset: int) -> DeviceTime:
    """Date and time of the six numbers; midnight is a time, a date part of 0 is unknown."""
    try:
        found = datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - sent without zone
    except (ValueError, TypeError):
        return _partial(PartialTime(*parts), offset)
    if found.year < FIRST_YEAR:
        raise BadPayload("time_invalid", offset)
    return found


def _partial(time: PartialTime, offset: int) -> PartialTime:
    longest = calendar.monthrange(time.year or 2000, time.month)[1] if 1 <= time.month <= 12 else 31  # noqa: PLR2004
    if (
        0 in (time.year, time.month, time.day)
        and (time.year == 0 or FIRST_YEAR <= time.year <= 9999)  # noqa: PLR2004 - last of the format
        and time.month <= 12  # noqa: PLR2004
        and time.day <= longest
        and time.hour < 24  # noqa: PLR2004
        and time.minute < 60  # noqa: PLR2004
        and time.second < 60  # noqa: PLR2004
    ):
        return time
    raise BadPayload("time_invalid", offset)


def time_parts(time: DeviceTime) -> tuple[int, int, int, int, int, int]:
    """The six numbers of a date and time."""
    return time.year, time.month, time.day, time.hour, time.minute, time.second


def known_flags(flags: int, known: int, quirks: Quirks, offset: int) -> int:
    """The flags that have a meaning; BadPayload for others, as far as the quirks do not allow."""
    others = flags & ~known
    if others and (not quirks.reserved_flags or others & (others - 1)):
        raise BadPayload("reserved_flag", offset)
    return flags & known


class Layout:
    """The shapes of one characteristic: a head, then a group for each flag that is set.

    `unpack[flags]` splits bytes of exactly that shape; for all else `exact` is asked first.
    """

    def __init__(self, head: str, groups: Sequence[tuple[int, str]], known: int) -> None:
        self.known = known
        shapes = [
            struct.Struct("<" + head + "".join(group for flag, group in groups if flags & flag))
            if flags & ~known == 0
            else None
            for flags in range(256)
        ]
        self.shapes = shapes
        self.unpack: list[Callable[[bytes], tuple[Any, ...]]] = [
            shape.unpack if shape else _reserved for shape in shapes
        ]

    def pack(self, flags: int, fields: Sequence[int]) -> bytes:
        """Bytes of that shape; the flags are the first field."""
        shape = self.shapes[flags]
        if shape is None:
            raise BadPayload("reserved_flag", 0)
        return shape.pack(flags, *fields)

    def exact(self, data: bytes, quirks: Quirks) -> bytes:
        """The bytes in the shape their flags announce, or BadPayload that says why not."""
        if not data:
            raise BadPayload("too_short", 0)
        flags = known_flags(data[0], self.known, quirks, 0)
        shape = self.shapes[flags]
        size = shape.size if shape else 0
        if len(data) < size:
            raise BadPayload("too_short", len(data))
        # A reserved flag may announce a group nobody knows: what follows the known ones is its.
        if len(data) > size and not quirks.trailing_bytes:
            raise BadPayload("too_long", size)
        return bytes((flags,)) + bytes(data[1:size])

    def fields(self, data: bytes, quirks: Quirks) -> tuple[Any, ...]:
        """The payload's numbers, flags first."""
        try:
            return self.unpack[data[0]](data)
        except (IndexError, struct.error):
            data = self.exact(data, quirks)
            return self.unpack[data[0]](data)


def _reserved(_: bytes) -> tuple[Any, ...]:
    raise struct.error("reserved flag")
