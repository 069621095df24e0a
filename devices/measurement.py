"""What a home device measured, and whether to believe it.

KINDS is a table: a new kind of reading is a row. `check` is pure; the clock comes from the caller.
Two limits per quantity and unit, applied to the value in the unit it was sent in (limits are
printed in both units: 3.9 mmol/L and 70 mg/dL are one limit, though they do not convert exactly):

* possible: beyond it the number is a fault of unit, sensor or typing, and is refused;
* usual: beyond it the value is kept and flagged `repeat_advised`. Customary editing limits may
  ask for a repeat but never discard: an extreme true value is the one that matters most.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec

from devices.units import (
    CELSIUS,
    FAHRENHEIT,
    FAHRENHEIT_TO_CELSIUS,
    KPA,
    KPA_TO_MMHG,
    MG_DL,
    MG_DL_CHOLESTEROL,
    MG_DL_GLUCOSE,
    MMHG,
    MMOL_L,
    PER_MINUTE,
    PERCENT,
    Unit,
)

AHEAD_LIMIT = timedelta(minutes=10)
AGE_LIMIT = timedelta(days=365)


class Kind(StrEnum):
    """Kinds of reading we accept."""

    BLOOD_PRESSURE = "blood_pressure"
    GLUCOSE = "glucose"
    CHOLESTEROL_TOTAL = "cholesterol_total"
    HEART_RATE = "heart_rate"
    SPO2 = "spo2"
    TEMPERATURE = "temperature"


class Code(StrEnum):
    """Why a measurement is refused; the UI has the sentence for each."""

    UNIT_MISSING = "unit_missing"
    UNIT_UNKNOWN = "unit_unknown"
    VALUE_MISSING = "value_missing"
    VALUE_UNKNOWN = "value_unknown"
    OUT_OF_RANGE = "out_of_range"
    SYSTOLIC_LE_DIASTOLIC = "systolic_le_diastolic"
    FROM_FUTURE = "from_future"
    TOO_OLD = "too_old"
    NOT_FINITE = "not_finite"


class DeviceFlag(StrEnum):
    """What the device itself said against its reading (bits of the cuff's status, 0x2A35)."""

    MOVEMENT = "movement"
    CUFF_LOOSE = "cuff_loose"
    IRREGULAR_PULSE = "irregular_pulse"
    PULSE_OUT_OF_RANGE = "pulse_out_of_range"
    POSITION = "position"


class OurFlag(StrEnum):
    """What we say about a reading we keep."""

    CLOCK_SKEW = "clock_skew"
    REPEAT_ADVISED = "repeat_advised"


@dataclass(frozen=True, slots=True)
class Limits:
    """Possible and usual limits, both ends included, in one unit."""

    low: float
    high: float
    usual_low: float
    usual_high: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a reading. `own_unit`: always in this unit, whatever the kind's (pulse)."""

    name: str
    limits: dict[str, Limits]
    source: str
    required: bool = True
    own_unit: str | None = None


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind of reading: its canonical unit first in `units`."""

    kind: Kind
    units: tuple[Unit, ...]
    quantities: tuple[Quantity, ...]

    @property
    def canonical(self) -> str:
        """Code of the unit stored and charted."""
        return self.units[0].code


_PULSE_SOURCE = "usual: customary editing limits, unconfirmed; possible: ours, wider than meters"

KINDS: dict[Kind, KindRow] = {
    row.kind: row
    for row in (
        KindRow(
            Kind.BLOOD_PRESSURE,
            (Unit(MMHG), KPA_TO_MMHG),
            (
                Quantity(
                    "systolic",
                    {MMHG: Limits(30, 300, 60, 280), KPA: Limits(4.0, 40.0, 8.0, 37.3)},
                    "usual: customary editing limits, unconfirmed; possible: scale of a cuff",
                ),
                Quantity(
                    "diastolic",
                    {MMHG: Limits(15, 200, 30, 160), KPA: Limits(2.0, 26.7, 4.0, 21.3)},
                    "usual: customary editing limits, unconfirmed; possible: scale of a cuff",
                ),
                Quantity(
                    "pulse",
                    {PER_MINUTE: Limits(20, 300, 30, 220)},
                    _PULSE_SOURCE,
                    required=False,
                    own_unit=PER_MINUTE,
                ),
            ),
        ),
        KindRow(
            Kind.GLUCOSE,
            (Unit(MMOL_L), MG_DL_GLUCOSE),
            (
                Quantity(
                    "glucose",
                    {MMOL_L: Limits(0.6, 44.4, 1.1, 33.3), MG_DL: Limits(10, 800, 20, 600)},
                    "possible: customary meter plausibility; usual: scale of common meters",
                ),
            ),
        ),
        KindRow(
            Kind.CHOLESTEROL_TOTAL,
            (Unit(MMOL_L), MG_DL_CHOLESTEROL),
            (
                Quantity(
                    "cholesterol",
                    {MMOL_L: Limits(0.5, 30.0, 2.6, 10.4), MG_DL: Limits(19, 1160, 100, 402)},
                    "usual: scale of home meters; possible: ours, above familial homozygotes",
                ),
            ),
        ),
        KindRow(
            Kind.HEART_RATE,
            (Unit(PER_MINUTE),),
            (Quantity("rate", {PER_MINUTE: Limits(20, 300, 30, 220)}, _PULSE_SOURCE),),
        ),
        KindRow(
            Kind.SPO2,
            (Unit(PERCENT),),
            (
                Quantity(
                    "spo2",
                    {PERCENT: Limits(30, 100, 70, 100)},
                    "usual: range in which oximeters are accurate (ISO 80601-2-61); possible: ours",
                ),
            ),
        ),
        KindRow(
            Kind.TEMPERATURE,
            (Unit(CELSIUS), FAHRENHEIT_TO_CELSIUS),
            (
                Quantity(
                    "temperature",
                    {CELSIUS: Limits(25, 45, 32, 43), FAHRENHEIT: Limits(77, 113, 89.6, 109.4)},
                    "usual: scale of clinical thermometers; possible: ours",
                ),
            ),
        ),
    )
}


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reading as the device sent it; `sequence`, the device's own number, tells a repeat."""

    kind: Kind
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    values: Annotated[dict[str, float], msgspec.Meta(max_length=8)]
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    flags: Annotated[tuple[DeviceFlag, ...], msgspec.Meta(max_length=8)] = ()

    def __post_init__(self) -> None:
        """Keep time in UTC; a date at the edge of the calendar has no UTC and is no date."""
        if self.taken_at.tzinfo is None:
            message = "taken_at needs a time zone"
            raise ValueError(message)
        try:
            utc = self.taken_at.astimezone(UTC)
        except OverflowError as error:
            message = "taken_at is outside the calendar"
            raise ValueError(message) from error
        msgspec.structs.force_setattr(self, "taken_at", utc)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A believed reading: canonical values for rules and charts, sent ones for the eye."""

    kind: Kind
    sequence: int
    taken_at: datetime
    values: dict[str, float]
    unit: str
    sent_values: dict[str, float]
    sent_unit: str
    flags: tuple[str, ...]


class BadMeasurement(Exception):  # noqa: N818 - a refusal, named as the fact it states
    """A measurement nobody should act on: field, why (`Code`), and the numbers of the sentence."""

    def __init__(self, field: str, code: Code, params: dict[str, float | str]) -> None:
        super().__init__(f"{field}: {code.value}")
        self.field = field
        self.code: str = code.value
        self.params = params


def check(measurement: Measurement, now: datetime) -> Checked:
    """The reading in its canonical unit, or BadMeasurement naming the first field at fault."""
    row = KINDS[measurement.kind]
    unit = _unit(row, measurement.unit)
    flags = {flag.value for flag in measurement.flags}
    flags |= _check_time(measurement.taken_at, now)
    _check_names(row, measurement.values)
    canonical: dict[str, float] = {}
    for quantity in row.quantities:
        sent = measurement.values.get(quantity.name)
        if sent is None:
            continue
        flags |= _check_value(quantity, sent, quantity.own_unit or unit.code)
        canonical[quantity.name] = sent if quantity.own_unit else unit.to_canonical(sent)
    if row.kind is Kind.BLOOD_PRESSURE:
        flags |= _check_pressure(measurement.values, canonical)
    return Checked(
        kind=row.kind,
        sequence=measurement.sequence,
        taken_at=measurement.taken_at,
        values=canonical,
        unit=row.canonical,
        sent_values=dict(measurement.values),
        sent_unit=unit.code,
        flags=tuple(sorted(flags)),
    )


def _unit(row: KindRow, code: str) -> Unit:
    """A unit is never guessed: mg/dL read as mmol/L is an 18-fold error."""
    accepted = ", ".join(unit.code for unit in row.units)
    if not code:
        raise BadMeasurement("unit", Code.UNIT_MISSING, {"accepted": accepted})
    for unit in row.units:
        if unit.code == code:
            return unit
    raise BadMeasurement("unit", Code.UNIT_UNKNOWN, {"unit": code, "accepted": accepted})


def _check_time(taken_at: datetime, now: datetime) -> set[str]:
    """A device clock up to ten minutes fast is forgiven and noted."""
    ahead = taken_at - now
    if ahead > AHEAD_LIMIT:
        minutes = AHEAD_LIMIT.total_seconds() / 60
        raise BadMeasurement("taken_at", Code.FROM_FUTURE, {"limit_minutes": minutes})
    if -ahead > AGE_LIMIT:
        raise BadMeasurement("taken_at", Code.TOO_OLD, {"limit_days": AGE_LIMIT.days})
    return {OurFlag.CLOCK_SKEW.value} if ahead > timedelta() else set()


def _check_names(row: KindRow, values: dict[str, float]) -> None:
    known = {quantity.name for quantity in row.quantities}
    for name in values:
        if name not in known:
            raise BadMeasurement(f"values.{name[:40]}", Code.VALUE_UNKNOWN, {"name": name[:40]})
    for quantity in row.quantities:
        if quantity.required and quantity.name not in values:
            name = quantity.name
            raise BadMeasurement(f"values.{name}", Code.VALUE_MISSING, {"name": name})


def _check_value(quantity: Quantity, sent: float, unit: str) -> set[str]:
    field = f"values.{quantity.name}"
    if not math.isfinite(sent):
        raise BadMeasurement(field, Code.NOT_FINITE, {})
    limits = quantity.limits[unit]
    if not limits.low <= sent <= limits.high:
        params: dict[str, float | str] = {"low": limits.low, "high": limits.high, "unit": unit}
        raise BadMeasurement(field, Code.OUT_OF_RANGE, params)
    usual = limits.usual_low <= sent <= limits.usual_high
    return set() if usual else {OurFlag.REPEAT_ADVISED.value}


def _check_pressure(sent: dict[str, float], canonical: dict[str, float]) -> set[str]:
    """Systolic above diastolic; pulse pressure of 10-150 mmHg is the customary limit."""
    if sent["systolic"] <= sent["diastolic"]:
        raise BadMeasurement("values.systolic", Code.SYSTOLIC_LE_DIASTOLIC, {})
    pulse_pressure_mmhg = canonical["systolic"] - canonical["diastolic"]
    usual = 10 <= pulse_pressure_mmhg <= 150  # noqa: PLR2004 - the docstring names the limits
    return set() if usual else {OurFlag.REPEAT_ADVISED.value}
