"""Readings as FHIR observations and back.

Written: as it was sent (value and unit), because the unit chooses the code; the canonical value is
computed again from it. Read: a Measurement for `check` to judge, or `BadObservation` with a code
and a place. Nothing is guessed: a value without a unit, or a day without an hour, is refused.
"""

import re
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from devices.fhir.codes import ABOUT, concept, kind_of, our_unit, value_of
from devices.fhir.structs import (
    ABSENT,
    CATEGORY,
    INTERPRETATION,
    NAMESPACE,
    UCUM,
    UUIDS,
    CodeableConcept,
    Coding,
    Component,
    Extension,
    Identifier,
    Meta,
    Observation,
    Quantity,
    Reference,
)
from devices.kinds import KINDS, Kind
from devices.measurement import Checked, DeviceFlag, Measurement, NoReading, beyond
from devices.order import number
from devices.units import ucum

FLAG_URL: Final = "urn:yanasha:reading-flag"
NUMBER_SYSTEM: Final = "urn:yanasha:reading-number"
# A value stands: one entered in error or cancelled is none, whatever number is still in it.
_TAKEN: Final = frozenset({"final", "amended", "corrected", "preliminary"})
_NO_VALUE: Final = {
    NoReading.MEASUREMENT_FAILED: "error",
    NoReading.INVALID: "error",
    NoReading.NOT_AVAILABLE: "unsupported",
    NoReading.CALIBRATING: "temp-unknown",
}
# Off the scale of the meter, as the guide for health devices writes +INF and -INF of a record.
_INFINITE: Final = {
    DeviceFlag.ABOVE_SCALE: ("positive-infinity", ">"),
    DeviceFlag.BELOW_SCALE: ("negative-infinity", "<"),
}
_TIME_AT_LEAST: Final = len("2026-03-10T08:00Z")
_NUMBER: Final = re.compile("[0-9]{1,16}")
_MOST_FLAGS: Final = 16
_FLAGS: Final = frozenset(flag.value for flag in DeviceFlag)


class BadObservation(ValueError):  # noqa: N818 - a refusal, named as the fact it states
    """An observation that is no reading for us: `code` says why, `where` the element."""

    def __init__(self, code: str, where: str) -> None:
        super().__init__(f"{where}: {code}")
        self.code = code
        self.where = where


def _category(word: str) -> tuple[CodeableConcept, ...]:
    return (CodeableConcept(coding=(Coding(system=CATEGORY, code=word),)),)


_CATEGORIES: Final = {kind: _category(about.category) for kind, about in ABOUT.items()}
_PROFILES: Final = {
    kind: None if about.profile is None else Meta(profile=(NAMESPACE + about.profile,))
    for kind, about in ABOUT.items()
}
_OWN_UNITS: Final = {
    (row.kind, quantity.name): quantity.own_unit
    for row in KINDS.values()
    for quantity in row.quantities
}


def observation(
    reading: Checked | Measurement,
    *,
    subject: Reference,
    device: Reference | None = None,
    reading_id: UUID | None = None,
) -> Observation:
    """A reading as others read it, in the unit it was sent in."""
    if isinstance(reading, Checked):
        values, unit, flags = reading.sent_values, reading.sent_unit, reading.flags
    else:
        values, unit = reading.values, reading.unit
        flags = tuple(flag.value for flag in reading.flags)
    kind = reading.kind
    panel = ABOUT[kind].panel is not None
    main = None if panel else KINDS[kind].quantities[0].name
    parts = tuple(
        Component(
            code=concept(kind, name, _unit_of(kind, name, unit)),
            value_quantity=_quantity(value, _unit_of(kind, name, unit)),
        )
        for name, value in values.items()
        if name != main
    )
    word = beyond(values, flags)
    identifiers = [Identifier(system=NUMBER_SYSTEM, value=str(reading.sequence))]
    if reading_id is not None:
        identifiers.insert(0, Identifier(system=UUIDS, value=f"urn:uuid:{reading_id}"))
    return Observation(
        id=None if reading_id is None else str(reading_id),
        meta=_PROFILES[kind] if ABOUT[kind].only in {None, unit} else None,
        extension=tuple(Extension(url=FLAG_URL, value_code=flag) for flag in flags),
        identifier=tuple(identifiers),
        status="final",
        category=_CATEGORIES[kind],
        code=concept(kind, main, unit),
        subject=subject,
        effective_date_time=reading.taken_at.isoformat(),
        value_quantity=_quantity(values[main], unit) if main in values else None,
        data_absent_reason=None if word is None else _absent(_INFINITE[word][0], word),
        interpretation=() if word is None else (_off_scale(_INFINITE[word][1]),),
        device=device,
        component=parts,
    )


def _absent(code: str, text: str) -> CodeableConcept:
    return CodeableConcept(coding=(Coding(system=ABSENT, code=code),), text=text)


def _off_scale(code: str) -> CodeableConcept:
    return CodeableConcept(coding=(Coding(system=INTERPRETATION, code=code),))


def no_reading(
    kind: Kind,
    reason: NoReading,
    at: datetime,
    *,
    subject: Reference,
    device: Reference | None = None,
) -> Observation:
    """A measurement that failed: without a value, and never with a zero in its place."""
    row, panel = KINDS[kind], ABOUT[kind].panel is not None
    absent = _absent(_NO_VALUE.get(reason, "error"), reason.value)
    parts = [quantity.name for quantity in row.quantities if quantity.required] if panel else []
    return Observation(
        meta=_PROFILES[kind],
        status="final",
        category=_CATEGORIES[kind],
        code=concept(kind, None if panel else row.quantities[0].name, row.canonical),
        subject=subject,
        effective_date_time=at.isoformat(),
        data_absent_reason=absent,
        device=device,
        component=tuple(
            Component(code=concept(kind, name, row.canonical), data_absent_reason=absent)
            for name in parts
        ),
    )


def measurement(found: Observation) -> Measurement:
    """The reading an observation tells; raises BadObservation."""
    about = kind_of(found.code)
    if about is None:
        raise BadObservation("kind_unknown", "code")
    if found.status not in _TAKEN:
        raise BadObservation("not_final", "status")
    kind, demanded = about
    flags, word = _flags(found), _beyond(found)
    if word is None:
        values, units = _values(kind, found)
    else:
        values, units = {}, {demanded or KINDS[kind].canonical}
        flags = tuple(dict.fromkeys((word, *flags)))[:_MOST_FLAGS]
    if len(units) != 1:
        raise BadObservation("units_mixed" if units else "value_missing", "component")
    unit = units.pop()
    if demanded and unit != demanded:
        # 2339-0 is glucose by mass: with mmol/L beside it one of the two is wrong.
        raise BadObservation("unit_not_of_code", "valueQuantity")
    taken_at, where = _time(found)
    try:
        return Measurement(
            kind=kind,
            sequence=_number(found, taken_at, values),
            taken_at=taken_at,
            values=values,
            unit=unit,
            flags=flags,
        )
    except ValueError as error:
        raise BadObservation("time_bad", where) from error


def _beyond(found: Observation) -> DeviceFlag | None:
    """The end of the scale that a value beyond it is told by, in place of a number."""
    absent = found.data_absent_reason
    if absent is None or found.value_quantity is not None or found.component:
        return None
    told = {one.code for one in absent.coding if one.system == ABSENT}
    words = [word for word, (code, _) in _INFINITE.items() if code in told]
    return words[0] if len(words) == 1 else None


def _values(kind: Kind, found: Observation) -> tuple[dict[str, float], set[str]]:
    """The values by our names, and the units of those that share the kind's."""
    values: dict[str, float] = {}
    units: set[str] = set()
    if ABOUT[kind].panel is None:
        main = KINDS[kind].quantities[0].name
        values[main] = _value(found.value_quantity, found.data_absent_reason, "valueQuantity")
        units.add(_our_unit(found.value_quantity, "valueQuantity"))
    for at, part in enumerate(found.component):
        name = value_of(kind, part.code)
        where = f"component[{at}].valueQuantity"
        if name is None or (part.value_quantity is None and not _required(kind, name)):
            continue
        if name in values:
            raise BadObservation("value_twice", where)
        values[name] = _value(part.value_quantity, part.data_absent_reason, where)
        unit, own = _our_unit(part.value_quantity, where), _OWN_UNITS[kind, name]
        if own is None:
            units.add(unit)
        elif unit != own:
            raise BadObservation("unit_unknown", where)
    return values, units


def _unit_of(kind: Kind, name: str, unit: str) -> str:
    return _OWN_UNITS[kind, name] or unit


def _quantity(value: float, unit: str) -> Quantity:
    whole = int(value) if value.is_integer() else value
    code = ucum(unit)
    return Quantity(value=whole, unit=unit, system=UCUM, code=code)


def _required(kind: Kind, name: str) -> bool:
    return any(one.name == name and one.required for one in KINDS[kind].quantities)


def _value(quantity: Quantity | None, absent: CodeableConcept | None, where: str) -> float:
    if quantity is None or quantity.value is None:
        code = "value_missing" if absent is None else "measurement_failed"
        raise BadObservation(code, where)
    if quantity.comparator is not None:
        # Beyond the scale of the meter: a bound is no value.
        above = quantity.comparator.startswith(">")
        raise BadObservation("above_scale" if above else "below_scale", where)
    try:
        return float(quantity.value)
    except OverflowError as error:
        raise BadObservation("not_finite", where) from error


def _our_unit(quantity: Quantity | None, where: str) -> str:
    code = None if quantity is None or quantity.system != UCUM else quantity.code
    if code is None:
        raise BadObservation("unit_missing", where)
    unit = our_unit(code)
    if unit is None:
        raise BadObservation("unit_unknown", where)
    return unit


def _time(found: Observation) -> tuple[datetime, str]:
    """A moment with its zone; a bare day, or an hour nowhere in the world, is none."""
    text = found.effective_date_time or found.effective_instant
    where = "effectiveDateTime"
    if text is None:
        if found.effective_period is None or found.effective_period.start is None:
            raise BadObservation("time_missing", where)
        text, where = found.effective_period.start, "effectivePeriod.start"
    try:
        at = datetime.fromisoformat(text) if len(text) >= _TIME_AT_LEAST else None
    except ValueError as error:
        raise BadObservation("time_bad", where) from error
    if at is None or at.tzinfo is None:
        raise BadObservation("time_not_exact", where)
    return at, where


def _number(found: Observation, taken_at: datetime, values: dict[str, float]) -> int:
    for identifier in found.identifier:
        told = identifier.value or ""
        if identifier.system == NUMBER_SYSTEM and _NUMBER.fullmatch(told) and int(told) < 2**53:
            return int(told)
    return number(None, taken_at, values)


def _flags(found: Observation) -> tuple[DeviceFlag, ...]:
    """Ours that a device may say; those of the check are said again when it is checked."""
    told = dict.fromkeys(one.value_code for one in found.extension if one.url == FLAG_URL)
    return tuple(DeviceFlag(code) for code in told if code in _FLAGS)[:_MOST_FLAGS]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Observation)


def encode(one: Observation) -> bytes:
    """An observation as JSON."""
    return _ENCODER.encode(one)


def decode(data: bytes) -> Observation:
    """An observation of JSON; raises BadObservation naming what has the wrong shape."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadObservation("not_fhir", place_of(error)) from error


def place_of(error: Exception) -> str:
    """Where msgspec met it (`at $.component[0].code`), never what stood there."""
    _, _, place = str(error).rpartition(" - at `$")
    return place.rstrip("`").lstrip(".")[:120] or "$"
