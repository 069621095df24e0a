"""Readings: what a home device or a hand reported, checked by devices/measurement.py.

Every source goes through the ingest writer, which calls `apply`: idempotent on (device, sequence),
so that a device may send again whatever was not acknowledged.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import BadMeasurement, Kind, Measurement, check
from people import audit
from people.device_tokens import Devices, KnownDevice, alive_among, hand_of, store_hands
from people.facts import ReadingsStored, emit
from people.policy import Act, Actor, Thing, require
from people.refused import FieldError, NotSignedIn, Refused
from storage.engine import new_id
from telemed import off_scale
from telemed.reading_tables import Readings
from telemed.stored_readings import (
    Incoming,
    New,
    Reading,
    Stored,
    already_there,
    content_of,
    insert,
    reading_of,
)
from telemed.visits import measured, thing, window

__all__ = ["Applied", "Incoming", "Outcome", "Reading", "ReadingResult", "apply", "by_hand"]

# A visit's page shows at most this many readings, the newest.
READINGS_SHOWN = 2000
# A record outside a visit shows this many, the newest.
RECORD_SHOWN = 300
# Commits do not become visible in the order of `received_at`: readings since a little before the
# last one seen are given again rather than missed. A client knows them by id.
_OVERLAP = timedelta(seconds=60)


class Outcome(StrEnum):
    """What became of a reading that was sent."""

    STORED = "stored"
    REPEATED = "repeated"


class Applied(msgspec.Struct, frozen=True):
    """The answer to one reading; `reading` is the row that lies in the store."""

    status: Outcome
    row: New | Stored

    @property
    def reading(self) -> Reading:
        """The row as screens show it."""
        return self.row.reading

    @property
    def result(self) -> "ReadingResult":
        """The answer as a device gets it; a repeat's flags are those of the row that is there."""
        if isinstance(self.row, New):
            checked = self.row.item.checked
            return ReadingResult(checked.sequence, self.status, self.row.id, list(checked.flags))
        there = self.row.reading
        return ReadingResult(there.sequence, self.status, there.id, there.flags)


class ReadingResult(msgspec.Struct, frozen=True):
    """The answer as a device gets it."""

    sequence: int
    status: Outcome
    id: UUID
    flags: list[str]


class BadReadings(Refused):
    """Readings nobody should act on; each field is named, nothing was stored."""

    status = 422
    code = "bad_measurement"


class SequenceReused(Refused):
    """The device has used this number for another reading."""

    status = 409
    code = "sequence_reused"


def incoming(
    device: KnownDevice, measurements: Sequence[Measurement], now: datetime
) -> list[Incoming]:
    """Check what a device sent. Raises BadReadings naming every bad one as `readings[i].field`.

    A device may send only the kinds it was registered for.
    """
    require(device.actor, Act.SEND_READINGS, Thing(subject_id=device.person_id), now)
    checked: list[Incoming] = []
    errors: list[FieldError] = []
    for at, measurement in enumerate(measurements):
        if measurement.kind.value not in device.kinds:
            params = {"kind": measurement.kind.value}
            errors.append(FieldError(f"readings[{at}].kind", "kind_not_of_device", params))
            continue
        try:
            checked.append(Incoming(device, check(measurement, now), now))
        except BadMeasurement as bad:
            errors.append(FieldError(f"readings[{at}].{bad.field}", bad.code, bad.params))
    if errors:
        raise BadReadings(tuple(errors))
    return checked


def by_hand(actor: Actor, person_id: UUID, measurement: Measurement, now: datetime) -> Incoming:
    """Check a reading the person typed in. Raises BadReadings naming `field`."""
    require(actor, Act.ADD_OWN_READING, Thing(subject_id=person_id), now)
    hand = hand_of(person_id, tuple(kind.value for kind in Kind), now)
    try:
        return Incoming(hand, check(measurement, now), now, by_hand=True)
    except BadMeasurement as bad:
        raise BadReadings((FieldError(bad.field, bad.code, bad.params),)) from bad


async def apply(db: AsyncSession, batch: Sequence[Incoming]) -> list[Applied | Exception]:
    """Store a batch of 1..2000; one answer an item, in order. For the ingest writer.

    A repeat answers with the row that is there; a used number with other content answers with
    SequenceReused and writes nothing, and so does, with NotSignedIn, a device whose token was
    revoked meanwhile: whoever looked it up may have done so a while ago.
    """
    alive = await alive_among(db, {item.device.id for item in batch if not item.by_hand})
    first: dict[tuple[int, int], New] = {}
    for item in batch:
        if item.key not in first and (item.by_hand or item.device.id in alive):
            first[item.key] = New(new_id(), item, content_of(item.checked))
    hands = {item.device.id: item.device for item in batch if item.by_hand}
    await store_hands(db, hands.values())
    fresh = await insert(db, list(first.values()))
    there = await already_there(db, [new.item for new in first.values() if new.id not in fresh])
    answers: list[Applied | Exception] = []
    persons: dict[UUID, list[Incoming]] = {}
    for item in batch:
        new = first.get(item.key)
        if new is None:
            answers.append(NotSignedIn())
            continue
        known = there.get(item.key, new)
        sent = new.content if item is new.item else content_of(item.checked)
        if known.content != sent:
            answers.append(SequenceReused(sequence=item.checked.sequence))
        elif new.id in fresh:
            fresh.remove(new.id)
            answers.append(Applied(Outcome.STORED, new))
            persons.setdefault(item.device.person_id, []).append(item)
        else:
            answers.append(Applied(Outcome.REPEATED, known))
    for person_id, stored in persons.items():
        at = stored[-1].received_at
        emit(db, ReadingsStored(at=at, person_id=person_id))
        await off_scale.tell(db, person_id, [item.checked for item in stored], at)
    return answers


def results(applied: Sequence[Applied]) -> list[ReadingResult]:
    """Give the answers in the form a device gets them."""
    return [one.result for one in applied]


def _of_visit() -> Select[Readings, str]:
    return (
        select(Readings, Devices.name)
        .join(Devices, Devices.id == Readings.device_id)
        .where(
            Readings.person_id == bindparam("person_id"),
            Readings.taken_at.between(bindparam("since"), bindparam("until")),
        )
        .order_by(Readings.taken_at.desc(), Readings.id.desc())
        .limit(READINGS_SHOWN)
    )


# Made once: a visit's page asks again and again.
_OF_VISIT = _of_visit()


async def visit_readings(
    db: AsyncSession, actor: Actor, visit_id: UUID, after: UUID | None, now: datetime
) -> list[Reading]:
    """Readings of the visit's patient, oldest first, of its window.

    With `after` only what was received since that reading, with a minute of overlap.
    """
    visit = await measured(db, actor, visit_id, now)
    since, until = window(visit)
    values = {"person_id": visit.patient_id, "since": since, "until": until}
    query = _OF_VISIT
    if after is not None:
        last = select(Readings.received_at).where(
            Readings.id == after,
            Readings.person_id == visit.patient_id,
            Readings.taken_at.between(since, until),
        )
        newer = func.coalesce(last.scalar_subquery() - _OVERLAP, Readings.received_at)
        query = query.where(Readings.received_at >= newer, Readings.id != after)
    purpose = audit.Purpose(Act.SEE_VISIT_READINGS, thing(visit), now)
    rows = await audit.read(db, actor, query, purpose, values)
    return [reading_of(row, name) for row, name in reversed(rows)]


async def newest_readings(
    db: AsyncSession, actor: Actor, person_id: UUID, purpose: audit.Purpose
) -> list[Reading]:
    """Give the newest readings of a person, oldest first; `purpose` says why and is judged."""
    query = (
        select(Readings, Devices.name)
        .join(Devices, Devices.id == Readings.device_id)
        .where(Readings.person_id == person_id)
        .order_by(Readings.taken_at.desc(), Readings.id.desc())
        .limit(RECORD_SHOWN)
    )
    rows = await audit.read(db, actor, query, purpose)
    return [reading_of(row, name) for row, name in reversed(rows)]
