"""Blood Pressure Measurement 0x2A35 (indicated) and Intermediate Cuff Pressure 0x2A36 (notified).

u8 flags: 0 kPa, 1 time, 2 pulse, 3 user, 4 status
SFLOAT systolic, diastolic, mean | [7 time] | [SFLOAT pulse] | [u8 user] | [u16 status]
status: 0 movement, 1 cuff loose, 2 irregular pulse, 3-4 pulse range, 5 wrong position
"""

import struct
from datetime import datetime

import msgspec

from devices.gatt.floats import SFLOATS, Number, sfloat_encode
from devices.gatt.payload import (
    FIRST_YEAR,
    STRICT,
    BadPayload,
    DeviceTime,
    Layout,
    Quirks,
    device_time,
    time_parts,
)
from devices.measurement import DeviceFlag
from devices.units import KPA, MMHG

UNKNOWN_USER = 255
_KPA, _TIME, _PULSE, _USER, _STATUS = 1, 2, 4, 8, 16
_ALL = _TIME | _PULSE | _USER | _STATUS
_LAYOUT = Layout(
    "BHHH", ((_TIME, "HBBBBB"), (_PULSE, "H"), (_USER, "B"), (_STATUS, "H")), known=0x1F
)
_UNPACK = _LAYOUT.unpack


def _flags(status: int) -> tuple[DeviceFlag, ...]:
    # Pulse range: 0 within, 1 above, 2 below, 3 reserved.
    said = (
        (DeviceFlag.MOVEMENT, status & 1),
        (DeviceFlag.CUFF_LOOSE, status & 2),
        (DeviceFlag.IRREGULAR_PULSE, status & 4),
        (DeviceFlag.PULSE_OUT_OF_RANGE, status >> 3 & 3 in (1, 2)),
        (DeviceFlag.POSITION, status & 32),
    )
    return tuple(flag for flag, there in said if there)


_FLAGS = tuple(_flags(status) for status in range(64))


class BloodPressure(msgspec.Struct, frozen=True, gc=False):
    """One measurement as sent, in its `unit` (mmHg or kPa); `mean` is the arterial mean."""

    systolic: Number
    diastolic: Number
    mean: Number
    unit: str = MMHG
    taken_at: DeviceTime | None = None
    pulse: Number | None = None
    user: int | None = None
    status: int | None = None

    @property
    def flags(self) -> tuple[DeviceFlag, ...]:
        """What the device says against its own reading."""
        return _FLAGS[self.status & 63] if self.status else ()


def decode(data: bytes, *, quirks: Quirks = STRICT) -> BloodPressure:
    """The measurement in the payload, or BadPayload."""
    try:
        fields = _UNPACK[data[0]](data)
    except (IndexError, struct.error):
        if quirks.user_without_flag and data:
            data = bytes((data[0] | _USER,)) + data[1:]
        fields = _LAYOUT.fields(data, quirks)
    if fields[0] & _ALL != _ALL or quirks.swapped_pulse_status:
        return _by_group(fields, quirks)
    # Everything is there, as cuffs mostly send it: taken apart at once, twice as fast as by group.
    (
        flags, systolic, diastolic, mean, year, month, day, hour, minute, second,
        pulse, user, status,
    ) = fields  # fmt: skip
    try:
        taken_at: DeviceTime = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        taken_at = device_time(fields[4:10], 7)
    if year < FIRST_YEAR and year:
        raise BadPayload("time_invalid", 7)
    table = SFLOATS if quirks is STRICT else quirks.sfloats()
    return BloodPressure(
        table[systolic],
        table[diastolic],
        table[mean],
        KPA if flags & _KPA else MMHG,
        taken_at,
        table[pulse],
        user,
        status,
    )


def _by_group(fields: tuple[int, ...], quirks: Quirks) -> BloodPressure:
    table = quirks.sfloats()
    order = _swapped if quirks.swapped_pulse_status else int
    flags = fields[0]
    taken_at = pulse = user = status = None
    at = 4
    if flags & _TIME:
        taken_at = device_time(fields[4:10], 7)
        at = 10
    if flags & _PULSE:
        pulse = table[order(fields[at])]
        at += 1
    if flags & _USER:
        user = fields[at]
        at += 1
    if flags & _STATUS:
        status = order(fields[at])
    return BloodPressure(
        table[fields[1]],
        table[fields[2]],
        table[fields[3]],
        KPA if flags & _KPA else MMHG,
        taken_at,
        pulse,
        user,
        status,
    )


def _swapped(raw: int) -> int:
    return raw >> 8 | (raw & 0xFF) << 8


def encode(reading: BloodPressure) -> bytes:
    """The payload a cuff sends for this measurement."""
    flags = _KPA if reading.unit == KPA else 0
    fields = [sfloat_encode(n) for n in (reading.systolic, reading.diastolic, reading.mean)]
    if reading.taken_at is not None:
        flags |= _TIME
        fields += time_parts(reading.taken_at)
    if reading.pulse is not None:
        flags |= _PULSE
        fields.append(sfloat_encode(reading.pulse))
    if reading.user is not None:
        flags |= _USER
        fields.append(reading.user)
    if reading.status is not None:
        flags |= _STATUS
        fields.append(reading.status)
    return _LAYOUT.pack(flags, fields)
