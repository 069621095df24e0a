"""From what a characteristic said to readings of the patient, or to a reason why it is none.

One notification may hold good and bad records: each gives a Measurement or a Refusal, nothing is
dropped in silence, and no bytes raise. A reading with a doubt is kept with the device's flag; what
NoReading names (control solution, a failed measurement, test data …) is never a patient's reading.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from types import MappingProxyType

from devices.clock import DeviceClock
from devices.gatt import (
    blood_pressure,
    cgm,
    glucose,
    heart_rate,
    oximeter,
    thermometer,
    weight,
)
from devices.gatt.doubts import MEALS, MEASURING, METER, NEVER, OFF, PROBE, SENSOR, named
from devices.gatt.floats import Special
from devices.gatt.message import (
    Message,
    Outcome,
    Refusal,
    Why,
    another,
    failed,
    local_of,
    of_nobody,
    told,
)
from devices.gatt.models import Model
from devices.gatt.payload import BadPayload
from devices.measurement import DeviceFlag, Kind, Measurement, NoReading
from devices.order import number
from devices.units import MG_DL, MMOL_L, PER_MINUTE, PERCENT

__all__ = [
    "CGM",
    "CGM_FEATURE",
    "CGM_SESSION_START",
    "CONTINUOUS",
    "CUFF_INTERIM",
    "GLUCOSE",
    "GLUCOSE_CONTEXT",
    "HEART_RATE",
    "NOTHING_READ",
    "PRESSURE",
    "SPOT_CHECK",
    "TEMPERATURE",
    "TEMPERATURE_INTERIM",
    "WEIGHT",
    "Refusal",
    "measurements",
]

PRESSURE, CUFF_INTERIM = 0x2A35, 0x2A36
GLUCOSE, GLUCOSE_CONTEXT = 0x2A18, 0x2A34
CGM, CGM_FEATURE, CGM_SESSION_START = 0x2AA7, 0x2AA8, 0x2AAA
HEART_RATE = 0x2A37
TEMPERATURE, TEMPERATURE_INTERIM = 0x2A1C, 0x2A1E
SPOT_CHECK, CONTINUOUS = 0x2A5E, 0x2A5F
WEIGHT = 0x2A9D

NOTHING_READ: Mapping[int, bytes] = MappingProxyType({})


def measurements(  # noqa: PLR0917 - a payload, and what is known beside it
    characteristic: int,
    data: bytes,
    model: Model,
    zone: tzinfo | None,
    received_at: datetime,
    read: Mapping[int, bytes] = NOTHING_READ,
    *,
    user: int | None = None,
    clock: DeviceClock | None = None,
) -> Outcome:
    """The readings in a payload, and a Refusal for each record that is none.

    `read` holds values heard before from the same device: 0x2AAA and 0x2AA8 for a sensor, 0x2A34
    for a record of the same sequence. `user`: whose readings are wanted of a device that knows
    users. `clock`: what is known of the device's clock; without it only the home's `zone`.
    """
    decode = _DECODERS.get(characteristic)
    if decode is None:
        return [Refusal(characteristic, Why.NOT_SUPPORTED)]
    if model.quirks.utc_clock:
        clock = DeviceClock(UTC, clock.moments if clock else ())
    message = Message(
        characteristic, data, model, clock or DeviceClock(zone), received_at, read, user
    )
    try:
        return decode(message)
    except BadPayload as bad:
        return [Refusal(characteristic, bad.code, bad.offset)]


def _pressure(message: Message) -> Outcome:
    said = blood_pressure.decode(message.data, quirks=message.model.quirks)
    if another(message, said.user):
        return [message.refuse(Why.OTHER_USER)]
    values: dict[str, float] = {}
    for name, value in (("systolic", said.systolic), ("diastolic", said.diastolic)):
        if isinstance(value, Special):
            return [message.refuse(failed(value))]
        values[name] = value
    # A cuff that does not compute the mean sends "not a number", or 0.
    if not isinstance(said.mean, Special) and said.mean > 0:
        values["mean"] = said.mean
    if said.pulse is not None and not isinstance(said.pulse, Special) and said.pulse > 0:
        values["pulse"] = said.pulse
    flags = {*said.flags, *of_nobody(message, said.user)}
    local = local_of(said.taken_at)
    return [message.reading(Kind.BLOOD_PRESSURE, said.unit, values, flags, local=local)]


# The unit the meter shows, and by how many places its SFLOAT is away from it.
_SHOWN = {glucose.KG_L: (MG_DL, 5), glucose.MOL_L: (MMOL_L, 3)}


def _glucose(message: Message) -> Outcome:
    said = glucose.decode(message.data, quirks=message.model.quirks)
    if said.control:
        return [message.refuse(NoReading.CONTROL_SOLUTION, said.sequence)]
    value = said.concentration
    unit, places = _SHOWN[said.unit]
    shown = float(Decimal(repr(value)).scaleb(places)) if isinstance(value, float) else value
    status = named(said.status or 0, METER) | _meal(message, said.sequence)
    reading = told("glucose", shown, status)
    if reading is None:
        why = NoReading.MEASUREMENT_FAILED if isinstance(value, Special) else NoReading.NO_VALUE
        return [message.refuse(why, said.sequence)]
    values, flags = reading
    interstitial = said.sample == glucose.INTERSTITIAL
    if not 1 <= (said.sample or 0) <= glucose.INTERSTITIAL:
        flags.add(DeviceFlag.QUESTIONABLE)
    kind = Kind.CGM_GLUCOSE if interstitial else Kind.GLUCOSE
    # Of the base time: setting the clock changes the offset, and the record keeps its number.
    stored_as = number(said.sequence, local_of(said.base_time), {})
    return [message.reading(kind, unit, values, flags, local=said.taken_at, stored_as=stored_as)]


def _meal(message: Message, sequence: int) -> set[DeviceFlag]:
    """What the user noted beside this record, if it was heard; a damaged note is no note."""
    heard = message.read.get(GLUCOSE_CONTEXT)
    if heard is None:
        return set()
    try:
        context = glucose.decode_context(heard, quirks=message.model.quirks)
    except BadPayload:
        return set()
    flag = MEALS.get(context.meal or 0)
    return {flag} if flag and context.sequence == sequence else set()


def _cgm(message: Message) -> Outcome:
    quirks = message.model.quirks
    feature = message.read.get(CGM_FEATURE)
    crc = None if feature is None else cgm.feature_has_crc(feature)
    records = cgm.decode(message.data, quirks=quirks, crc=crc)
    began = message.read.get(CGM_SESSION_START)
    start = None if began is None else cgm.decode_session_start(began, quirks=quirks)
    local = None if start is None else local_of(start.local)
    if start is None or local is None:
        return [message.refuse(Why.SESSION_UNKNOWN, record.offset_min) for record in records]
    clock = message.clock
    if start.started_at is not None:
        clock = DeviceClock(start.started_at.tzinfo, clock.moments)
    return [_sensor_value(message, record, local, clock) for record in records]


def _sensor_value(
    message: Message, record: cgm.CgmRecord, start: datetime, clock: DeviceClock
) -> Measurement | Refusal:
    reading = told("glucose", record.glucose_mg_dl, named(record.status, SENSOR))
    if reading is None:
        return message.refuse(NoReading.MEASUREMENT_FAILED, record.offset_min)
    values, flags = reading
    try:
        local = start + timedelta(minutes=record.offset_min)
    except OverflowError:
        return message.refuse("time_invalid", record.offset_min)
    return message.reading(
        Kind.CGM_GLUCOSE,
        MG_DL,
        values,
        flags,
        local=local,
        stored_as=number(record.offset_min, local, {}),
        repaired=clock.repair(local, message.received_at),
    )


def _heart_rate(message: Message) -> Outcome:
    said = heart_rate.decode(message.data, quirks=message.model.quirks)
    if said.rate_bpm == 0:
        return [message.refuse(NoReading.NO_VALUE)]
    flags = {DeviceFlag.NO_CONTACT} if said.contact is heart_rate.Contact.NONE else set()
    values = {"rate": float(said.rate_bpm)}
    return [message.reading(Kind.HEART_RATE, PER_MINUTE, values, flags, live=True)]


def _temperature(message: Message) -> Outcome:
    said = thermometer.decode(message.data, quirks=message.model.quirks)
    reading = told("temperature", said.temperature, set())
    if reading is None:
        return [message.refuse(NoReading.MEASUREMENT_FAILED)]
    values, flags = reading
    local = local_of(said.taken_at)
    return [message.reading(Kind.TEMPERATURE, said.unit, values, flags, local=local)]


def _spot_check(message: Message) -> Outcome:
    said = oximeter.decode_spot(message.data, quirks=message.model.quirks)
    return _saturation(message, said, None if said.clock_unset else local_of(said.taken_at))


def _continuous(message: Message) -> Outcome:
    return _saturation(
        message, oximeter.decode_continuous(message.data, quirks=message.model.quirks), None
    )


def _saturation(
    message: Message, said: oximeter.SpotCheck | oximeter.Continuous, local: datetime | None
) -> Outcome:
    status, sensor = said.status or 0, said.sensor or 0
    for bits, reason in NEVER:
        if status & bits:
            return [message.refuse(reason)]
    if sensor & OFF:
        return [message.refuse(NoReading.NOT_AVAILABLE)]
    value = said.spo2_percent
    if isinstance(value, Special):
        return [message.refuse(failed(value))]
    values = {"spo2": value}
    if not isinstance(said.rate_bpm, Special) and said.rate_bpm > 0:
        values["pulse"] = said.rate_bpm
    flags = named(status, MEASURING) | named(sensor, PROBE)
    # Without a time it is of now, unless it comes from the oximeter's memory.
    live = local is None and DeviceFlag.FROM_MEMORY not in flags
    return [message.reading(Kind.SPO2, PERCENT, values, flags, local=local, live=live)]


def _weight(message: Message) -> Outcome:
    said = weight.decode(message.data, quirks=message.model.quirks)
    if another(message, said.user):
        return [message.refuse(Why.OTHER_USER)]
    if said.weight is None:
        return [message.refuse(NoReading.MEASUREMENT_FAILED)]
    local = local_of(said.taken_at)
    flags, values = of_nobody(message, said.user), {"weight": said.weight}
    return [message.reading(Kind.WEIGHT, said.unit, values, flags, local=local)]


def _interim(message: Message) -> Outcome:
    """A value on the way to the reading; the reading follows."""
    return [message.refuse(Why.INTERIM)]


_DECODERS: dict[int, Callable[[Message], Outcome]] = {
    PRESSURE: _pressure,
    CUFF_INTERIM: _interim,
    GLUCOSE: _glucose,
    CGM: _cgm,
    HEART_RATE: _heart_rate,
    TEMPERATURE: _temperature,
    TEMPERATURE_INTERIM: _interim,
    SPOT_CHECK: _spot_check,
    CONTINUOUS: _continuous,
    WEIGHT: _weight,
}
