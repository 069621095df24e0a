"""Continuous glucose: CGM Measurement 0x2AA7 (notified), Session Start Time 0x2AAA (read).

    u8 size, with itself and the CRC
    u8 flags: 0 trend, 1 quality, 5 warning, 6 calibration, 7 status
    SFLOAT mg/dL | u16 min since the session began | [status] | [calibration] | [warning]
    | [SFLOAT trend, mg/dL/min] | [SFLOAT quality, %] | [u16 CRC]

The three octets come in the opposite order of their flags (one public decoder swaps them). Several
records may share a notification: each says its size, and so whether it carries a CRC.
"""

import struct
from datetime import datetime, timedelta, timezone
from enum import IntFlag

import msgspec

from devices.gatt.floats import Number, sfloat_encode
from devices.gatt.payload import (
    STRICT,
    TIME,
    BadPayload,
    DeviceTime,
    PartialTime,
    Quirks,
    device_time,
    known_flags,
    time_parts,
)

_TREND, _QUALITY, _WARNING, _CALIBRATION, _STATUS = 1, 2, 32, 64, 128
_KNOWN = _TREND | _QUALITY | _WARNING | _CALIBRATION | _STATUS
_OCTETS = ((_STATUS, 0), (_CALIBRATION, 8), (_WARNING, 16))
_HEAD = struct.Struct("<BBHH")
_U16 = struct.Struct("<H")
UNKNOWN_ZONE = -128
UNKNOWN_DST = 255
# Quarters of an hour of a summer time, as DST Offset 0x2A0D counts them.
_DST = frozenset({0, 2, 4, 8, UNKNOWN_DST})


class SensorStatus(IntFlag):
    """The three octets as one number."""

    SESSION_STOPPED = 1 << 0
    BATTERY_LOW = 1 << 1
    WRONG_SENSOR_TYPE = 1 << 2
    MALFUNCTION = 1 << 3
    DEVICE_ALERT = 1 << 4
    GENERAL_FAULT = 1 << 5
    TIME_SYNC_NEEDED = 1 << 8
    CALIBRATION_NOT_ALLOWED = 1 << 9
    CALIBRATION_RECOMMENDED = 1 << 10
    CALIBRATION_REQUIRED = 1 << 11
    TOO_HOT = 1 << 12
    TOO_COLD = 1 << 13
    BELOW_PATIENT_LOW = 1 << 16
    ABOVE_PATIENT_HIGH = 1 << 17
    HYPO = 1 << 18
    HYPER = 1 << 19
    FAST_FALL = 1 << 20
    FAST_RISE = 1 << 21
    BELOW_RANGE = 1 << 22
    ABOVE_RANGE = 1 << 23


class CgmRecord(msgspec.Struct, frozen=True, gc=False):
    """One value of the sensor. `octets` says which of the three octets were sent (bits 0-2)."""

    glucose_mg_dl: Number
    offset_min: int
    status: int = 0
    octets: int = 0
    trend_mg_dl_min: Number | None = None
    quality_percent: Number | None = None
    checked: bool = False


def crc16(data: bytes) -> int:
    """CRC-16/MCRF4XX: polynomial 0x1021 reflected, start 0xFFFF, no final inversion."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


def decode(
    data: bytes, *, quirks: Quirks = STRICT, crc: bool | None = None
) -> tuple[CgmRecord, ...]:
    """The records of one notification, oldest first as sent; or BadPayload, of the whole of it.

    `crc`: whether the Feature characteristic says that each carries one; None if nobody asked.
    """
    if not data:
        raise BadPayload("too_short", 0)
    found: list[CgmRecord] = []
    at = 0
    while at < len(data):
        size = data[at]
        if size < _HEAD.size:
            raise BadPayload("size", at)
        if at + size > len(data):
            raise BadPayload("too_short", len(data))
        record = _record(bytes(data[at : at + size]), at, quirks)
        if crc is not None and record.checked is not crc:
            raise BadPayload("checksum", at)
        found.append(record)
        at += size
    return tuple(found)


def _record(data: bytes, at: int, quirks: Quirks) -> CgmRecord:
    size, flags, glucose, offset_min = _HEAD.unpack_from(data)
    flags = known_flags(flags, _KNOWN, quirks, at + 1)
    sent = [(bit, shift) for bit, shift in _OCTETS if flags & bit]
    numbers = bool(flags & _TREND) + bool(flags & _QUALITY)
    plain = _HEAD.size + len(sent) + 2 * numbers
    # Without the Feature characteristic the size alone tells whether there is a CRC.
    checked = size == plain + _U16.size
    if size != plain and not checked:
        raise BadPayload("size", at)
    if checked and crc16(data[:-2]) != _U16.unpack_from(data, plain)[0]:
        raise BadPayload("checksum", at + plain)
    table = quirks.sfloats()
    status = octets = 0
    place = _HEAD.size
    for _, shift in sent:
        status |= data[place] << shift
        octets |= 1 << shift // 8
        place += 1
    values = [table[_U16.unpack_from(data, place + 2 * i)[0]] for i in range(numbers)]
    return CgmRecord(
        table[glucose],
        offset_min,
        status,
        octets,
        values[0] if flags & _TREND else None,
        values[-1] if flags & _QUALITY else None,
        checked,
    )


def encode(records: tuple[CgmRecord, ...]) -> bytes:
    """The notification a sensor sends for these records."""
    return b"".join(map(_encoded, records))


def _encoded(record: CgmRecord) -> bytes:
    flags, body = 0, b""
    for bit, shift in _OCTETS:
        if record.octets >> shift // 8 & 1:
            flags |= bit
            body += bytes((record.status >> shift & 0xFF,))
    for bit, number in ((_TREND, record.trend_mg_dl_min), (_QUALITY, record.quality_percent)):
        if number is not None:
            flags |= bit
            body += _U16.pack(sfloat_encode(number))
    size = _HEAD.size + len(body) + (_U16.size if record.checked else 0)
    data = _HEAD.pack(size, flags, sfloat_encode(record.glucose_mg_dl), record.offset_min) + body
    return data + _U16.pack(crc16(data)) if record.checked else data


def feature_has_crc(data: bytes) -> bool:
    """Whether CGM Feature 0x2AA8 says that records carry a CRC (bit 12 of its 24)."""
    if len(data) < 6:  # noqa: PLR2004 - u24 features, u8 type and place, u16 CRC
        raise BadPayload("too_short", len(data))
    return bool(data[1] & 0x10)


class SessionStart(msgspec.Struct, frozen=True, gc=False):
    """When the session began; `zone_quarters` and `dst_quarters` are quarters of an hour."""

    local: DeviceTime
    zone_quarters: int = UNKNOWN_ZONE
    dst_quarters: int = UNKNOWN_DST
    checked: bool = False

    @property
    def started_at(self) -> datetime | None:
        """The moment with its zone, as far as the sensor knows both."""
        if isinstance(self.local, PartialTime) or self.zone_quarters == UNKNOWN_ZONE:
            return None
        summer = 0 if self.dst_quarters == UNKNOWN_DST else self.dst_quarters
        zone = timezone(timedelta(minutes=15 * (self.zone_quarters + summer)))
        return self.local.replace(tzinfo=zone)


def decode_session_start(data: bytes, *, quirks: Quirks = STRICT) -> SessionStart:
    """The session's start in the payload, or BadPayload."""
    plain = TIME.size + 2
    if len(data) < plain:
        raise BadPayload("too_short", len(data))
    checked = len(data) == plain + _U16.size
    if len(data) > plain and not checked and not quirks.trailing_bytes:
        raise BadPayload("too_long", plain)
    if checked and crc16(data[:plain]) != _U16.unpack_from(data, plain)[0]:
        raise BadPayload("checksum", plain)
    zone, dst = struct.unpack_from("<bB", data, TIME.size)
    if zone != UNKNOWN_ZONE and not -48 <= zone <= 56:  # noqa: PLR2004 - UTC-12 to UTC+14
        raise BadPayload("time_invalid", TIME.size)
    if dst not in _DST:
        raise BadPayload("time_invalid", TIME.size + 1)
    return SessionStart(device_time(TIME.unpack_from(data), 0), zone, dst, checked)


def encode_session_start(start: SessionStart) -> bytes:
    """The payload a sensor sends for this start."""
    data = TIME.pack(*time_parts(start.local))
    data += struct.pack("<bB", start.zone_quarters, start.dst_quarters)
    return data + _U16.pack(crc16(data)) if start.checked else data
