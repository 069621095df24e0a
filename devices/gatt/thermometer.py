"""Temperature Measurement 0x2A1C (indicated) and Intermediate Temperature 0x2A1E (notified).

u8 flags: 0 Fahrenheit, 1 time, 2 place | FLOAT | [7 time] | [u8 place]
place: 1 armpit, 2 body, 3 ear, 4 finger, 5 gut, 6 mouth, 7 rectum, 8 toe, 9 eardrum
"""

import msgspec

from devices.gatt.floats import Number, float_decode, float_encode, ieee_single
from devices.gatt.payload import STRICT, DeviceTime, Layout, Quirks, device_time, time_parts
from devices.units import CELSIUS, FAHRENHEIT

_FAHRENHEIT, _TIME, _PLACE = 1, 2, 4
_LAYOUT = Layout("BI", ((_TIME, "HBBBBB"), (_PLACE, "B")), known=0x07)


class Temperature(msgspec.Struct, frozen=True, gc=False):
    """One measurement in its `unit` (Cel or [degF])."""

    temperature: Number
    unit: str = CELSIUS
    taken_at: DeviceTime | None = None
    place: int | None = None


def decode(data: bytes, *, quirks: Quirks = STRICT) -> Temperature:
    """The measurement in the payload, or BadPayload."""
    fields = _LAYOUT.fields(data, quirks)
    flags = fields[0]
    if quirks.ieee_floats:
        temperature = ieee_single(fields[1])
    else:
        temperature = float_decode(fields[1], any_exponent=quirks.special_any_exponent)
    return Temperature(
        temperature,
        FAHRENHEIT if flags & _FAHRENHEIT else CELSIUS,
        device_time(fields[2:8], 5) if flags & _TIME else None,
        fields[-1] if flags & _PLACE else None,
    )


def encode(reading: Temperature) -> bytes:
    """The payload a thermometer sends for this measurement."""
    flags = _FAHRENHEIT if reading.unit == FAHRENHEIT else 0
    fields = [float_encode(reading.temperature)]
    if reading.taken_at is not None:
        flags |= _TIME
        fields += time_parts(reading.taken_at)
    if reading.place is not None:
        flags |= _PLACE
        fields.append(reading.place)
    return _LAYOUT.pack(flags, fields)
