"""Glucose Measurement 0x2A18 and its Context 0x2A34, both notified in a record download.

    0x2A18  u8 flags: 0 offset, 1 concentration, 2 mol/L, 3 status, 4 context follows
            u16 sequence | 7 base time | [i16 offset, min] | [SFLOAT, u8 type, place] | [u16 status]
    0x2A34  u8 flags: 0 carbohydrate, 1 meal, 2 tester and health, 3 exercise, 4 medication,
            5 litre else kg, 6 HbA1c, 7 extended
            u16 sequence | [u8 extended] | [u8, SFLOAT] | [u8] | [u8] | [u16 s, u8 %] | [u8, SFLOAT]
            | [SFLOAT %]

kg/L x 100,000 = mg/dL; mol/L x 1,000 = mmol/L. Type 10 or place 4 is control solution.
"""

from datetime import datetime, timedelta
from enum import IntFlag

import msgspec

from devices.gatt.floats import Number, sfloat_encode
from devices.gatt.payload import (
    STRICT,
    DeviceTime,
    Layout,
    PartialTime,
    Quirks,
    device_time,
    time_parts,
)

KG_L, MOL_L = "kg/L", "mol/L"
KG, LITRE = "kg", "L"
INTERSTITIAL, CONTROL_SOLUTION = 9, 10
CONTROL_PLACE = 4
OFFSET_OVERRUN, OFFSET_UNDERRUN = 0x7FFF, -0x8000
EXERCISE_OVERRUN_S = 0xFFFF


class GlucoseStatus(IntFlag):
    """What the meter says about strip, sample and itself."""

    BATTERY_LOW = 1 << 0
    SENSOR_FAULT = 1 << 1
    SAMPLE_TOO_SMALL = 1 << 2
    STRIP_INSERTION = 1 << 3
    STRIP_TYPE = 1 << 4
    RESULT_TOO_HIGH = 1 << 5
    RESULT_TOO_LOW = 1 << 6
    TOO_HOT = 1 << 7
    TOO_COLD = 1 << 8
    STRIP_PULLED = 1 << 9
    GENERAL_FAULT = 1 << 10
    TIME_FAULT = 1 << 11


class Glucose(msgspec.Struct, frozen=True, gc=False):
    """One record of the meter, in `unit` as sent (kg/L or mol/L); without a concentration it
    says only that something happened."""

    sequence: int
    base_time: DeviceTime
    offset_min: int | None = None
    concentration: Number | None = None
    unit: str = KG_L
    sample: int | None = None
    place: int | None = None
    status: int | None = None
    context_follows: bool = False

    @property
    def taken_at(self) -> datetime | None:
        """Time by the user's clock: base time plus offset; None when either is not known."""
        if isinstance(self.base_time, PartialTime):
            return None
        if self.offset_min in (OFFSET_OVERRUN, OFFSET_UNDERRUN):
            return None
        try:
            return self.base_time + timedelta(minutes=self.offset_min or 0)
        except OverflowError:
            return None

    @property
    def control(self) -> bool:
        """Control solution: never a patient's reading."""
        return self.sample == CONTROL_SOLUTION or self.place == CONTROL_PLACE


class GlucoseContext(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the user noted beside the record of the same sequence.

    Amounts are by the exponent sent (kg, litre); sources differ on their scale, so an amount is
    shown only when it is plausible, and nothing is ever dosed from it.
    """

    sequence: int
    extended: int | None = None
    carbohydrate: int | None = None
    carbohydrate_kg: Number | None = None
    meal: int | None = None
    tester: int | None = None
    health: int | None = None
    exercise_s: int | None = None
    exercise_percent: int | None = None
    medication: int | None = None
    medication_amount: Number | None = None
    medication_unit: str = KG
    hba1c_percent: Number | None = None


_OFFSET, _CONCENTRATION, _MOL_L, _STATUS, _CONTEXT = 1, 2, 4, 8, 16
_LAYOUT = Layout("BHHBBBBB", ((_OFFSET, "h"), (_CONCENTRATION, "HB"), (_STATUS, "H")), known=0x1F)
_CARBOHYDRATE, _MEAL, _TESTER, _EXERCISE, _MEDICATION, _LITRE, _HBA1C, _EXTENDED = (
    1 << bit for bit in range(8)
)
_CONTEXT_LAYOUT = Layout(
    "BH",
    (
        (_EXTENDED, "B"),
        (_CARBOHYDRATE, "BH"),
        (_MEAL, "B"),
        (_TESTER, "B"),
        (_EXERCISE, "HB"),
        (_MEDICATION, "BH"),
        (_HBA1C, "H"),
    ),
    known=0xFF,
)


def decode(data: bytes, *, quirks: Quirks = STRICT) -> Glucose:
    """The record in the payload, or BadPayload."""
    fields = _LAYOUT.fields(data, quirks)
    table = quirks.sfloats()
    flags, sequence = fields[:2]
    offset_min = concentration = sample = place = status = None
    at = 8
    if flags & _OFFSET:
        offset_min = fields[at]
        at += 1
    if flags & _CONCENTRATION:
        concentration = table[fields[at]]
        sample, place = fields[at + 1] & 0xF, fields[at + 1] >> 4
        at += 2
    if flags & _STATUS:
        status = fields[at]
    return Glucose(
        sequence,
        device_time(fields[2:8], 3),
        offset_min,
        concentration,
        MOL_L if flags & _MOL_L else KG_L,
        sample,
        place,
        status,
        bool(flags & _CONTEXT),
    )


def encode(record: Glucose) -> bytes:
    """The payload a meter sends for this record."""
    flags = _MOL_L if record.unit == MOL_L else 0
    flags |= _CONTEXT if record.context_follows else 0
    fields = [record.sequence, *time_parts(record.base_time)]
    if record.offset_min is not None:
        flags |= _OFFSET
        fields.append(record.offset_min)
    if record.concentration is not None:
        flags |= _CONCENTRATION
        fields += [
            sfloat_encode(record.concentration),
            (record.place or 0) << 4 | (record.sample or 0),
        ]
    if record.status is not None:
        flags |= _STATUS
        fields.append(record.status)
    return _LAYOUT.pack(flags, fields)


def decode_context(data: bytes, *, quirks: Quirks = STRICT) -> GlucoseContext:
    """The context in the payload, or BadPayload."""
    fields = iter(_CONTEXT_LAYOUT.fields(data, quirks))
    table = quirks.sfloats()
    flags, sequence = next(fields), next(fields)
    found: dict[str, int | float | str | None] = {}
    if flags & _EXTENDED:
        found["extended"] = next(fields)
    if flags & _CARBOHYDRATE:
        found["carbohydrate"] = next(fields)
        found["carbohydrate_kg"] = table[next(fields)]
    if flags & _MEAL:
        found["meal"] = next(fields)
    if flags & _TESTER:
        both = next(fields)
        found["tester"], found["health"] = both & 0xF, both >> 4
    if flags & _EXERCISE:
        found["exercise_s"], found["exercise_percent"] = next(fields), next(fields)
    if flags & _MEDICATION:
        found["medication"] = next(fields)
        found["medication_amount"] = table[next(fields)]
    if flags & _HBA1C:
        found["hba1c_percent"] = table[next(fields)]
    unit = LITRE if flags & _LITRE else KG
    return GlucoseContext(sequence=sequence, medication_unit=unit, **found)  # type: ignore[arg-type]


def encode_context(context: GlucoseContext) -> bytes:
    """The payload a meter sends for this context."""
    flags = _LITRE if context.medication_unit == LITRE else 0
    fields = [context.sequence]
    if context.extended is not None:
        flags |= _EXTENDED
        fields.append(context.extended)
    if context.carbohydrate is not None and context.carbohydrate_kg is not None:
        flags |= _CARBOHYDRATE
        fields += [context.carbohydrate, sfloat_encode(context.carbohydrate_kg)]
    if context.meal is not None:
        flags |= _MEAL
        fields.append(context.meal)
    if context.tester is not None and context.health is not None:
        flags |= _TESTER
        fields.append(context.health << 4 | context.tester)
    if context.exercise_s is not None and context.exercise_percent is not None:
        flags |= _EXERCISE
        fields += [context.exercise_s, context.exercise_percent]
    if context.medication is not None and context.medication_amount is not None:
        flags |= _MEDICATION
        fields += [context.medication, sfloat_encode(context.medication_amount)]
    if context.hba1c_percent is not None:
        flags |= _HBA1C
        fields.append(sfloat_encode(context.hba1c_percent))
    return _CONTEXT_LAYOUT.pack(flags, fields)
