"""Weight Measurement 0x2A9D, indicated.

u8 flags: 0 pounds and inches, 1 time, 2 user, 3 BMI and height
u16 weight, 0.005 kg or 0.01 lb, 0xFFFF = not measured | [7 time] | [u8 user]
| [u16 BMI x 10, u16 height, 0.001 m or 0.1 in]
"""

from decimal import Decimal

import msgspec

from devices.gatt.payload import STRICT, DeviceTime, Layout, Quirks, device_time, time_parts

KG, POUND = "kg", "[lb_av]"
NOT_MEASURED = 0xFFFF
_IMPERIAL, _TIME, _USER, _BODY = 1, 2, 4, 8
_LAYOUT = Layout("BH", ((_TIME, "HBBBBB"), (_USER, "B"), (_BODY, "HH")), known=0x0F)
_STEP = {KG: Decimal("0.005"), POUND: Decimal("0.01")}
_HEIGHT_STEP = {KG: Decimal("0.001"), POUND: Decimal("0.1")}
_BMI_STEP = Decimal("0.1")


class Weight(msgspec.Struct, frozen=True, gc=False):
    """One weighing in its `unit` (kg, with height in m; [lb_av], with height in inches);
    `weight` is None when it did not succeed."""

    weight: float | None
    unit: str = KG
    taken_at: DeviceTime | None = None
    user: int | None = None
    bmi: float | None = None
    height: float | None = None


def decode(data: bytes, *, quirks: Quirks = STRICT) -> Weight:
    """The weighing in the payload, or BadPayload."""
    fields = _LAYOUT.fields(data, quirks)
    flags, raw = fields[:2]
    unit = POUND if flags & _IMPERIAL else KG
    at = 8 if flags & _TIME else 2
    return Weight(
        None if raw == NOT_MEASURED else float(raw * _STEP[unit]),
        unit,
        device_time(fields[2:8], 3) if flags & _TIME else None,
        fields[at] if flags & _USER else None,
        float(fields[-2] * _BMI_STEP) if flags & _BODY else None,
        float(fields[-1] * _HEIGHT_STEP[unit]) if flags & _BODY else None,
    )


def encode(reading: Weight) -> bytes:
    """The payload a scale sends for this weighing."""
    unit = reading.unit
    flags = _IMPERIAL if unit == POUND else 0
    raw = NOT_MEASURED if reading.weight is None else _steps(reading.weight, _STEP[unit])
    fields = [raw]
    if reading.taken_at is not None:
        flags |= _TIME
        fields += time_parts(reading.taken_at)
    if reading.user is not None:
        flags |= _USER
        fields.append(reading.user)
    if reading.bmi is not None and reading.height is not None:
        flags |= _BODY
        fields += [_steps(reading.bmi, _BMI_STEP), _steps(reading.height, _HEIGHT_STEP[unit])]
    return _LAYOUT.pack(flags, fields)


def _steps(value: float, step: Decimal) -> int:
    return round(Decimal(repr(value)) / step)
