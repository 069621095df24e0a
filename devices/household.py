"""A home whose devices live: each says in its own bytes what it measured, and sometimes lies.

    day(PERSON, KINDS, date, ZONE)           what all devices said on a day, as it came
    readings(PERSON, KINDS, dates, ZONE)     the same through the decoders: readings and refusals

Faults on demand: a loose cuff, a cuff that gives up, a control solution taken for blood, a strip
with too little blood, a cold finger, a sensor that needs calibration, a wrong clock. The same seed
gives the same day with the same faults.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import Final

import msgspec

from devices import life
from devices.clock import DeviceClock
from devices.gatt import (
    blood_pressure,
    cgm,
    glucose,
    heart_rate,
    models,
    oximeter,
    thermometer,
    weight,
)
from devices.gatt.floats import Special
from devices.gatt.to_measurement import (
    CGM,
    CGM_SESSION_START,
    GLUCOSE,
    GLUCOSE_CONTEXT,
    HEART_RATE,
    PRESSURE,
    SPOT_CHECK,
    TEMPERATURE,
    WEIGHT,
    Refusal,
    measurements,
)
from devices.kinds import Kind
from devices.life import Person
from devices.measurement import Measurement
from devices.order import number
from devices.units import MMOL_L

MG_DL_PER_MMOL_L: Final = 18.016
SENSOR_DAYS: Final = 10
SENSOR_EVERY_MIN: Final = 5
_TOGETHER: Final = 3  # records of the sensor in one notification
_NOTHING: Final[Mapping[int, bytes]] = MappingProxyType({})
# Of the three octets a record of 0x2AA7 may carry, the second.
_CALIBRATION_OCTET: Final = 2
# A cuff's status, as 0x2A35 numbers its bits.
_MOVED, _LOOSE = 1, 2


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How often what goes wrong (0..1), and by how much the clocks are wrong."""

    cuff: float = 0.0
    failed: float = 0.0
    control: float = 0.0
    strip: float = 0.0
    finger: float = 0.0
    sensor: float = 0.0
    clock_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """`cuff=0.1,clock=3600`; a share without a number is a tenth. ValueError for a bad one."""
        found: dict[str, float] = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            name, _, much = word.partition("=")
            field = "clock_s" if name == "clock" else name
            if field not in cls.__struct_fields__ or name == "clock_s":
                raise ValueError(f"no such fault: {name}")
            amount = float(much) if much else 3600.0 if name == "clock" else 0.1
            if name != "clock" and not 0 <= amount <= 1:
                raise ValueError(f"a share is from 0 to 1: {word}")
            found[field] = amount
        return cls(**found)


NONE: Final = Faults()
# What there is of a home where somebody forgets the cuff and hurries.
HUMAN: Final = Faults(cuff=0.04, failed=0.02, control=0.03, strip=0.04, finger=0.1, sensor=0.002)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one device said at a moment: `read` is what a gateway has read of it before."""

    at: datetime
    characteristic: int
    data: bytes
    read: Mapping[int, bytes] = _NOTHING


class Home(msgspec.Struct, frozen=True):
    """Who lives there, in which zone, and what goes wrong."""

    person: Person
    zone: tzinfo
    faults: Faults = NONE

    def at(self, on: date, hour: float, wander_min: float = 0.0, what: str = "") -> datetime:
        """A moment of the day, a little earlier or later each day."""
        draw = life.drawn(self.person, "when", what, on, hour)
        start = datetime.combine(on, time(), self.zone)
        late = draw.gauss(0, wander_min) if wander_min else 0.0
        return (start + timedelta(hours=hour, minutes=late)).replace(second=0, microsecond=0)

    def shown(self, at: datetime) -> datetime:
        """What a device's clock shows then: local, without a zone, off by the fault."""
        local = at.astimezone(self.zone) + timedelta(seconds=self.faults.clock_s)
        return local.replace(tzinfo=None)

    def happens(self, share: float, what: str, at: datetime) -> bool:
        """Whether a fault strikes now."""
        return share > 0 and life.drawn(self.person, "fault", what, at).random() < share


def _cuff(home: Home, on: date) -> Iterator[Said]:
    """Two in the morning, two in the evening, a minute apart."""
    for hour in (7.2, 21.0):
        first = home.at(on, hour, 12, "cuff")
        for minute in (0, 1):
            at = first + timedelta(minutes=minute, seconds=7 * minute)
            yield Said(at=at, characteristic=PRESSURE, data=_pressed(home, at))


def _pressed(home: Home, at: datetime) -> bytes:
    systolic, diastolic, pulse = life.pressure(home.person, at)
    shown, status = home.shown(at), 0
    if home.happens(home.faults.failed, "failed", at):
        no = Special.NAN
        return blood_pressure.encode(blood_pressure.BloodPressure(no, no, no, taken_at=shown))
    if home.happens(home.faults.cuff, "cuff", at):
        # A loose cuff reads high, and says so.
        systolic, diastolic, status = systolic + 18, diastolic + 9, _LOOSE | _MOVED
    mean = float(round(diastolic + (systolic - diastolic) / 3))
    said = blood_pressure.BloodPressure(
        float(systolic), float(diastolic), mean, taken_at=shown, pulse=float(pulse), status=status
    )
    return blood_pressure.encode(said)


def _meter(home: Home, on: date) -> Iterator[Said]:
    """Fasting, before dinner and two hours after it, at bedtime; numbered as a meter does."""
    breakfast, _, dinner = life.meal_times(home.person, on)
    plan = ((breakfast - 0.5, 3), (dinner - 0.3, 1), (dinner + 2, 2), (22.8, 5))
    for place, (hour, meal) in enumerate(plan):
        at, sequence = home.at(on, hour), (on.toordinal() * 8 + place) % 2**16
        if place == 0 and home.happens(home.faults.control, "control", at):
            # From the same vial every time: the meter was checked before breakfast.
            before, spare = at - timedelta(minutes=2), (on.toordinal() * 8 + 7) % 2**16
            yield _stripe(home, before, spare, 6.1, None, sample=10, where=4)
        value = round(life.glucose(home.person, at), 1)
        yield _stripe(home, at, sequence, value, meal)


def _stripe(
    home: Home,
    at: datetime,
    sequence: int,
    value: float,
    meal: int | None,
    *,
    sample: int = 1,
    where: int = 1,
) -> Said:
    short = meal is not None and home.happens(home.faults.strip, "strip", at)
    record = glucose.Glucose(
        sequence,
        home.shown(at),
        0,
        round(value / 1000, 6),
        glucose.MOL_L,
        sample,
        where,
        glucose.GlucoseStatus.SAMPLE_TOO_SMALL if short else 0,
        context_follows=meal is not None,
    )
    read = _NOTHING
    if meal is not None:
        context = glucose.GlucoseContext(sequence=sequence, meal=meal)
        read = {GLUCOSE_CONTEXT: glucose.encode_context(context)}
    return Said(at=at, characteristic=GLUCOSE, data=glucose.encode(record), read=read)


def _sensor(home: Home, on: date) -> Iterator[Said]:
    """A value each five minutes, three to a notification; a new sensor every ten days."""
    began = date.fromordinal(on.toordinal() - on.toordinal() % SENSOR_DAYS)
    start = datetime.combine(began, time(), home.zone)
    read = {CGM_SESSION_START: cgm.encode_session_start(cgm.SessionStart(home.shown(start)))}
    waiting: list[cgm.CgmRecord] = []
    for minute in range(0, 24 * 60, SENSOR_EVERY_MIN):
        at = datetime.combine(on, time(), home.zone) + timedelta(minutes=minute)
        # Fluid under the skin follows the blood by some ten minutes.
        value = life.glucose(home.person, at - timedelta(minutes=10))
        noise = life.drawn(home.person, "sensor", at).gauss(0, 0.12)
        status, octets = 0, 0
        if home.happens(home.faults.sensor, "sensor", at):
            status, octets = cgm.SensorStatus.CALIBRATION_REQUIRED, _CALIBRATION_OCTET
        waiting.append(
            cgm.CgmRecord(
                float(round((value + noise) * MG_DL_PER_MMOL_L)),
                round((at - start) / timedelta(minutes=1)),
                status,
                octets,
            )
        )
        if len(waiting) == _TOGETHER:
            data = cgm.encode(tuple(waiting))
            yield Said(at=at, characteristic=CGM, data=data, read=read)
            waiting.clear()


def _oximeter(home: Home, on: date) -> Iterator[Said]:
    at = home.at(on, 9.5, 25, "oximeter")
    percent, pulse = life.oxygen(home.person, at)
    sensor = 0
    if home.happens(home.faults.finger, "finger", at):
        percent, sensor = percent - 5, oximeter.Sensor.PERFUSION_LOW
    said = oximeter.SpotCheck(percent, float(pulse), home.shown(at), sensor=sensor)
    yield Said(at=at, characteristic=SPOT_CHECK, data=oximeter.encode_spot(said))


def _belt(home: Home, on: date) -> Iterator[Said]:
    at = home.at(on, 9.6, 25, "oximeter")
    said = heart_rate.HeartRate(round(life.pressure(home.person, at)[2]), heart_rate.Contact.SKIN)
    yield Said(at=at, characteristic=HEART_RATE, data=heart_rate.encode(said))


def _thermometer(home: Home, on: date) -> Iterator[Said]:
    at = home.at(on, 8.3, 30, "thermometer")
    said = thermometer.Temperature(life.temperature(home.person, at), taken_at=home.shown(at))
    yield Said(at=at, characteristic=TEMPERATURE, data=thermometer.encode(said))


def _scales(home: Home, on: date) -> Iterator[Said]:
    """Every third morning."""
    if on.toordinal() % 3 == 0:
        at = home.at(on, 7.0, 15, "scales")
        said = weight.Weight(life.weight(home.person, at), taken_at=home.shown(at))
        yield Said(at=at, characteristic=WEIGHT, data=weight.encode(said))


_DEVICES: Final[dict[Kind, Callable[[Home, date], Iterator[Said]]]] = {
    Kind.BLOOD_PRESSURE: _cuff,
    Kind.GLUCOSE: _meter,
    Kind.CGM_GLUCOSE: _sensor,
    Kind.SPO2: _oximeter,
    Kind.HEART_RATE: _belt,
    Kind.TEMPERATURE: _thermometer,
    Kind.WEIGHT: _scales,
}
# One strip gives all four; no adopted service carries it, so it is told as a reading.
_LIPIDS: Final = {
    Kind.CHOLESTEROL_TOTAL: "cholesterol",
    Kind.CHOLESTEROL_HDL: "hdl",
    Kind.CHOLESTEROL_LDL: "ldl",
    Kind.TRIGLYCERIDE: "triglyceride",
}
_LIPIDS_EVERY_DAYS: Final = 14


def day(home: Home, kind: Kind, on: date) -> Iterator[Said]:
    """All that the device of this kind said on a day, in order; nothing for a strip of lipids."""
    device = _DEVICES.get(kind)
    return iter(()) if device is None else device(home, on)


def readings(
    home: Home, kinds: Iterable[Kind], days: Iterable[date]
) -> Iterator[Measurement | Refusal]:
    """What becomes of all that was said, through the decoders; a gateway looked at each clock."""
    days = tuple(days)
    for kind in kinds:
        for on in days:
            if kind in _LIPIDS:
                yield from _strip_of_lipids(home, kind, on)
            for said in day(home, kind, on):
                yield from heard(home, said)


def heard(home: Home, said: Said) -> list[Measurement | Refusal]:
    """One message as a gateway beside the device understands it."""
    at = said.at.astimezone(UTC)
    clock = DeviceClock(home.zone).seen(home.shown(at), at, read=True)
    received_at = at + timedelta(seconds=4)
    return measurements(
        said.characteristic, said.data, models.ANY, home.zone, received_at, said.read, clock=clock
    )


def _strip_of_lipids(home: Home, kind: Kind, on: date) -> Iterator[Measurement]:
    if on.toordinal() % _LIPIDS_EVERY_DAYS:
        return
    at, name = home.at(on, 8.0), _LIPIDS[kind]
    values = {name: life.lipids(home.person, at)[name]}
    yield Measurement(
        kind=kind,
        sequence=number(None, home.shown(at), values),
        taken_at=at,
        values=values,
        unit=MMOL_L,
    )
