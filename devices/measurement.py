"""What a home device measured, and whether to believe it.

`check` is pure; the clock comes from the caller. What kinds there are, with their units and limits,
is the table of devices/kinds.py. What a device or the way here said for or against a reading stays
with it as a flag; a message that is no reading at all is a `NoReading` of the decoder's.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from devices.kinds import KINDS, Kind, KindRow, Limits
from devices.units import Unit

__all__ = [
    "AGE_LIMIT",
    "AHEAD_LIMIT",
    "BEYOND",
    "KINDS",
    "BadMeasurement",
    "Checked",
    "Code",
    "DeviceFlag",
    "Kind",
    "Measurement",
    "NoReading",
    "OurFlag",
    "beyond",
    "check",
]

AHEAD_LIMIT = timedelta(minutes=10)
AGE_LIMIT = timedelta(days=365)
_NOT_AHEAD = timedelta()


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


class NoReading(StrEnum):
    """Why a well-formed message of a device is no reading of the patient's."""

    CONTROL_SOLUTION = "control_solution"
    MEASUREMENT_FAILED = "measurement_failed"
    NO_VALUE = "no_value"
    ABOVE_SCALE = "above_scale"
    BELOW_SCALE = "below_scale"
    TEST_DATA = "test_data"
    CALIBRATING = "calibrating"
    NOT_AVAILABLE = "not_available"
    INVALID = "invalid"
    NOT_A_PATIENT_UNIT = "not_a_patient_unit"


class DeviceFlag(StrEnum):
    """What the device, or the gateway or page beside it, says about the reading."""

    # Cuff, status of 0x2A35.
    MOVEMENT = "movement"
    CUFF_LOOSE = "cuff_loose"
    IRREGULAR_PULSE = "irregular_pulse"
    PULSE_OUT_OF_RANGE = "pulse_out_of_range"
    POSITION = "position"
    # Glucose meter and sensor, status of 0x2A18 and 0x2AA7.
    BATTERY_LOW = "battery_low"
    SENSOR_FAULT = "sensor_fault"
    SAMPLE_TOO_SMALL = "sample_too_small"
    STRIP_FAULT = "strip_fault"
    ABOVE_SCALE = "above_scale"
    BELOW_SCALE = "below_scale"
    TOO_HOT = "too_hot"
    TOO_COLD = "too_cold"
    DEVICE_FAULT = "device_fault"
    TIME_FAULT = "time_fault"
    CALIBRATION_NEEDED = "calibration_needed"
    SESSION_STOPPED = "session_stopped"
    # Oximeter and pulse belt, status of 0x2A5E, 0x2A5F and 0x2A37.
    EARLY_ESTIMATE = "early_estimate"
    WEAK_SIGNAL = "weak_signal"
    QUESTIONABLE = "questionable"
    NO_CONTACT = "no_contact"
    FROM_MEMORY = "from_memory"
    # When in the day, said by the person: 0x2A34.
    FASTING = "fasting"
    BEFORE_MEAL = "before_meal"
    AFTER_MEAL = "after_meal"
    BEDTIME = "bedtime"
    # On the way here: devices/clock.py, devices/order.py, a line that was away.
    LATE = "late"
    CLOCK_REPAIRED = "clock_repaired"
    TIME_OF_ARRIVAL = "time_of_arrival"
    ZONE_ASSUMED = "zone_assumed"
    GAP_BEFORE = "gap_before"
    NUMBER_REUSED = "number_reused"


# What a meter says instead of a number: HI or LO. There is none, and none is made up.
BEYOND: Final = frozenset({DeviceFlag.ABOVE_SCALE, DeviceFlag.BELOW_SCALE})


class OurFlag(StrEnum):
    """What we say about a reading we keep."""

    CLOCK_SKEW = "clock_skew"
    REPEAT_ADVISED = "repeat_advised"


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reading as the device sent it; `sequence`, the device's own number, tells a repeat."""

    kind: Kind
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    taken_at: Annotated[datetime, msgspec.Meta(tz=True)]
    values: Annotated[dict[str, float], msgspec.Meta(max_length=8)]
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    flags: Annotated[tuple[DeviceFlag, ...], msgspec.Meta(max_length=16)] = ()

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


def beyond(values: Mapping[str, float], flags: Iterable[str]) -> DeviceFlag | None:
    """Which end of the scale a reading without a number lies beyond; None: it has one, or none."""
    said = BEYOND.intersection(flags)
    return DeviceFlag(next(iter(said))) if len(said) == 1 and not values else None


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


@dataclass(frozen=True, slots=True)
class _Rules:
    """A kind in one of its units, taken apart once: `check` runs for every reading that comes.

    `asked` holds each quantity's name, the unit it comes in, its limits there, and how it becomes
    canonical (None: it is kept).
    """

    unit: Unit
    canonical: str
    names: frozenset[str]
    required: tuple[str, ...]
    asked: tuple[tuple[str, str, Limits, Callable[[float], float] | None], ...]


def _rules(row: KindRow, unit: Unit) -> _Rules:
    return _Rules(
        unit=unit,
        canonical=row.canonical,
        names=frozenset(quantity.name for quantity in row.quantities),
        required=tuple(quantity.name for quantity in row.quantities if quantity.required),
        asked=tuple(
            (
                quantity.name,
                quantity.own_unit or unit.code,
                quantity.limits[quantity.own_unit or unit.code],
                None if quantity.own_unit or unit.places is None else unit.to_canonical,
            )
            for quantity in row.quantities
        ),
    )


_RULES = {(kind, unit.code): _rules(row, unit) for kind, row in KINDS.items() for unit in row.units}


def check(measurement: Measurement, now: datetime) -> Checked:
    """The reading in its canonical unit, or BadMeasurement naming the first field at fault."""
    kind, values = measurement.kind, measurement.values
    rules = _RULES.get((kind, measurement.unit))
    if rules is None:
        raise _bad_unit(KINDS[kind], measurement.unit)
    flags = {flag.value for flag in measurement.flags} if measurement.flags else set()
    _check_time(measurement.taken_at - now, flags)
    # A meter that says HI or LO has a value that a doctor must know of, and no number for it.
    if len(rules.required) != 1 or beyond(values, flags) is None:
        _check_names(rules, values)
    canonical: dict[str, float] = {}
    for name, unit, limits, to_canonical in rules.asked:
        sent = values.get(name)
        if sent is None:
            continue
        if not limits.usual_low <= sent <= limits.usual_high:
            _check_possible(name, sent, unit, limits)
            flags.add(OurFlag.REPEAT_ADVISED.value)
        canonical[name] = sent if to_canonical is None else to_canonical(sent)
    if kind is Kind.BLOOD_PRESSURE:
        _check_pressure(values, canonical, flags)
    return Checked(
        kind=kind,
        sequence=measurement.sequence,
        taken_at=measurement.taken_at,
        values=canonical,
        unit=rules.canonical,
        sent_values=dict(values),
        sent_unit=rules.unit.code,
        flags=tuple(sorted(flags)) if flags else (),
    )


def _bad_unit(row: KindRow, code: str) -> BadMeasurement:
    """A unit is never guessed: mg/dL read as mmol/L is an 18-fold error."""
    accepted = ", ".join(unit.code for unit in row.units)
    if not code:
        return BadMeasurement("unit", Code.UNIT_MISSING, {"accepted": accepted})
    return BadMeasurement("unit", Code.UNIT_UNKNOWN, {"unit": code, "accepted": accepted})


def _check_time(ahead: timedelta, flags: set[str]) -> None:
    """A device clock up to ten minutes fast is forgiven and noted."""
    if ahead > AHEAD_LIMIT:
        minutes = AHEAD_LIMIT.total_seconds() / 60
        raise BadMeasurement("taken_at", Code.FROM_FUTURE, {"limit_minutes": minutes})
    if ahead < -AGE_LIMIT:
        raise BadMeasurement("taken_at", Code.TOO_OLD, {"limit_days": AGE_LIMIT.days})
    if ahead > _NOT_AHEAD:
        flags.add(OurFlag.CLOCK_SKEW.value)


def _check_names(rules: _Rules, values: dict[str, float]) -> None:
    if not rules.names.issuperset(values):
        name = next(name for name in values if name not in rules.names)[:40]
        raise BadMeasurement(f"values.{name}", Code.VALUE_UNKNOWN, {"name": name})
    for name in rules.required:
        if name not in values:
            raise BadMeasurement(f"values.{name}", Code.VALUE_MISSING, {"name": name})


def _check_possible(name: str, sent: float, unit: str, limits: Limits) -> None:
    field = f"values.{name}"
    if not math.isfinite(sent):
        raise BadMeasurement(field, Code.NOT_FINITE, {})
    if not limits.low <= sent <= limits.high:
        params: dict[str, float | str] = {"low": limits.low, "high": limits.high, "unit": unit}
        raise BadMeasurement(field, Code.OUT_OF_RANGE, params)


# A mean is measured and the two others are computed from it: far from where it belongs, one is off.
_MEAN_WITHIN_MMHG = 15


def _check_pressure(sent: dict[str, float], canonical: dict[str, float], flags: set[str]) -> None:
    """Systolic above diastolic; pulse pressure of 10-150 mmHg is the customary limit."""
    if sent["systolic"] <= sent["diastolic"]:
        raise BadMeasurement("values.systolic", Code.SYSTOLIC_LE_DIASTOLIC, {})
    low = canonical["diastolic"]
    pulse_pressure_mmhg = canonical["systolic"] - low
    usual = 10 <= pulse_pressure_mmhg <= 150  # noqa: PLR2004 - the docstring names the limits
    mean = canonical.get("mean")
    if mean is not None:
        between = low <= mean <= canonical["systolic"]
        near = abs(mean - low - pulse_pressure_mmhg / 3) <= _MEAN_WITHIN_MMHG
        usual = usual and between and near
    if not usual:
        flags.add(OurFlag.REPEAT_ADVISED.value)
