"""Pulse oximeter: spot check 0x2A5E (indicated) and continuous 0x2A5F (notified).

0x2A5E  u8 flags: 0 time, 1 status, 2 sensor, 3 amplitude, 4 clock not set
        SFLOAT SpO2, rate | [7 time] | [u16 status] | [u24 sensor] | [SFLOAT amplitude]
0x2A5F  u8 flags: 0 fast pair, 1 slow pair, 2 status, 3 sensor, 4 amplitude
        SFLOAT SpO2, rate | [2 SFLOAT] | [2 SFLOAT] | [u16 status] | [u24 sensor] | [SFLOAT]
"""

from enum import IntFlag

import msgspec

from devices.gatt.floats import Number, sfloat_encode
from devices.gatt.payload import STRICT, DeviceTime, Layout, Quirks, device_time, time_parts


class Status(IntFlag):
    """Measurement status."""

    ONGOING = 1 << 5
    EARLY_ESTIMATE = 1 << 6
    VALIDATED = 1 << 7
    FULLY_QUALIFIED = 1 << 8
    FROM_STORAGE = 1 << 9
    DEMONSTRATION = 1 << 10
    TEST = 1 << 11
    CALIBRATING = 1 << 12
    UNAVAILABLE = 1 << 13
    QUESTIONABLE = 1 << 14
    INVALID = 1 << 15


class Sensor(IntFlag):
    """Device and sensor status."""

    DISPLAY_UPDATE = 1 << 0
    MALFUNCTION = 1 << 1
    PROCESSING_IRREGULAR = 1 << 2
    SIGNAL_INADEQUATE = 1 << 3
    SIGNAL_POOR = 1 << 4
    PERFUSION_LOW = 1 << 5
    ERRATIC = 1 << 6
    NOT_PULSATILE = 1 << 7
    PULSE_QUESTIONABLE = 1 << 8
    ANALYSING = 1 << 9
    INTERFERENCE = 1 << 10
    OFF_BODY = 1 << 11
    UNKNOWN_SENSOR = 1 << 12
    DISPLACED = 1 << 13
    SENSOR_FAULT = 1 << 14
    DISCONNECTED = 1 << 15


class Pair(msgspec.Struct, frozen=True, gc=False):
    """Saturation and pulse of one averaging."""

    spo2_percent: Number
    rate_bpm: Number


class SpotCheck(msgspec.Struct, frozen=True, gc=False):
    """One measurement the user asked for."""

    spo2_percent: Number
    rate_bpm: Number
    taken_at: DeviceTime | None = None
    status: int | None = None
    sensor: int | None = None
    amplitude_percent: Number | None = None
    clock_unset: bool = False


class Continuous(msgspec.Struct, frozen=True, gc=False):
    """One value of a stream; `fast` and `slow` are other averagings of the same moment."""

    spo2_percent: Number
    rate_bpm: Number
    fast: Pair | None = None
    slow: Pair | None = None
    status: int | None = None
    sensor: int | None = None
    amplitude_percent: Number | None = None


_TIME, _STATUS, _SENSOR, _AMPLITUDE, _CLOCK_UNSET = 1, 2, 4, 8, 16
# Twenty-four bits are sixteen and eight.
_SPOT = Layout(
    "BHH", ((_TIME, "HBBBBB"), (_STATUS, "H"), (_SENSOR, "HB"), (_AMPLITUDE, "H")), known=0x1F
)
_FAST, _SLOW = 1, 2
_CONTINUOUS = Layout(
    "BHH",
    (
        (_FAST, "HH"),
        (_SLOW, "HH"),
        (_STATUS << 1, "H"),
        (_SENSOR << 1, "HB"),
        (_AMPLITUDE << 1, "H"),
    ),
    known=0x1F,
)


def decode_spot(data: bytes, *, quirks: Quirks = STRICT) -> SpotCheck:
    """The spot check in the payload, or BadPayload."""
    fields = _SPOT.fields(data, quirks)
    table = quirks.sfloats()
    flags = fields[0]
    at = 9 if flags & _TIME else 3
    status, sensor, amplitude = _tail(flags, fields[at:], table)
    return SpotCheck(
        table[fields[1]],
        table[fields[2]],
        device_time(fields[3:9], 5) if flags & _TIME else None,
        status,
        sensor,
        amplitude,
        bool(flags & _CLOCK_UNSET),
    )


def decode_continuous(data: bytes, *, quirks: Quirks = STRICT) -> Continuous:
    """The value in the payload, or BadPayload."""
    fields = _CONTINUOUS.fields(data, quirks)
    table = quirks.sfloats()
    flags = fields[0]
    at = 3
    pairs: list[Pair | None] = []
    for bit in (_FAST, _SLOW):
        if flags & bit:
            pairs.append(Pair(table[fields[at]], table[fields[at + 1]]))
            at += 2
        else:
            pairs.append(None)
    status, sensor, amplitude = _tail(flags >> 1, fields[at:], table)
    return Continuous(
        table[fields[1]], table[fields[2]], pairs[0], pairs[1], status, sensor, amplitude
    )


def _tail(
    flags: int, fields: tuple[int, ...], table: list[Number]
) -> tuple[int | None, int | None, Number | None]:
    """Status, sensor and amplitude: the same three groups end both payloads."""
    rest = iter(fields)
    status = next(rest) if flags & _STATUS else None
    sensor = next(rest) | next(rest) << 16 if flags & _SENSOR else None
    amplitude = table[next(rest)] if flags & _AMPLITUDE else None
    return status, sensor, amplitude


def encode_spot(reading: SpotCheck) -> bytes:
    """The payload an oximeter sends for this spot check."""
    flags = _CLOCK_UNSET if reading.clock_unset else 0
    fields = [sfloat_encode(reading.spo2_percent), sfloat_encode(reading.rate_bpm)]
    if reading.taken_at is not None:
        flags |= _TIME
        fields += time_parts(reading.taken_at)
    more, tail = _encoded_tail(reading)
    return _SPOT.pack(flags | more, fields + tail)


def encode_continuous(reading: Continuous) -> bytes:
    """The payload an oximeter sends for this value."""
    flags = 0
    fields = [sfloat_encode(reading.spo2_percent), sfloat_encode(reading.rate_bpm)]
    for bit, pair in ((_FAST, reading.fast), (_SLOW, reading.slow)):
        if pair is not None:
            flags |= bit
            fields += [sfloat_encode(pair.spo2_percent), sfloat_encode(pair.rate_bpm)]
    more, tail = _encoded_tail(reading)
    return _CONTINUOUS.pack(flags | more << 1, fields + tail)


def _encoded_tail(reading: SpotCheck | Continuous) -> tuple[int, list[int]]:
    flags, fields = 0, []
    if reading.status is not None:
        flags |= _STATUS
        fields.append(reading.status)
    if reading.sensor is not None:
        flags |= _SENSOR
        fields += [reading.sensor & 0xFFFF, reading.sensor >> 16]
    if reading.amplitude_percent is not None:
        flags |= _AMPLITUDE
        fields.append(sfloat_encode(reading.amplitude_percent))
    return flags, fields
