"""Readings: what a home device or a hand reported, checked by devices/measurement.py.

Every source goes through the ingest writer, which calls `apply`: idempotent on (device, sequence),
so that a device may send again whatever was not acknowledged.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Select,
    TextClause,
    Uuid,
    and_,
    bindparam,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import BadMeasurement, Checked, Kind, Measurement, check
from people import audit
from people.device_tokens import Devices, KnownDevice, alive_among, hand_of, store_hands
from people.facts import ReadingStored, emit
from people.organisations import Ref
from people.policy import Act, Actor, Thing, require
from people.refused import FieldError, NotSignedIn, Refused
from storage.engine import new_id
from telemed.months import Month, filling, make_months, month_of
from telemed.reading_tables import Readings
from telemed.visits import measured, thing, window

# A visit's page shows at most this many readings, the newest.
READINGS_SHOWN = 2000
# A record outside a visit shows this many, the newest.
RECORD_SHOWN = 300
# Commits do not become visible in the order of `received_at`: readings since a little before the
# last one seen are given again rather than missed. A client knows them by id.
_OVERLAP = timedelta(seconds=60)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as screens show it."""

    id: UUID
    kind: Kind
    sequence: int
    taken_at: datetime
    received_at: datetime
    values: dict[str, float]
    unit: str
    sent_values: dict[str, float]
    sent_unit: str
    device: Ref
    flags: list[str]


class Incoming(msgspec.Struct, frozen=True):
    """A checked reading on its way to the store."""

    device: KnownDevice
    checked: Checked
    received_at: datetime
    by_hand: bool = False

    @property
    def key(self) -> tuple[UUID, int]:
        """What a reading is known by when it comes again."""
        return self.device.id, self.checked.sequence


class Outcome(StrEnum):
    """What became of a reading that was sent."""

    STORED = "stored"
    REPEATED = "repeated"


class Applied(msgspec.Struct, frozen=True):
    """The answer to one reading; `reading` is the row that lies in the store."""

    status: Outcome
    person_id: UUID
    reading: Reading


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
    first: dict[tuple[UUID, int], _New] = {}
    for item in batch:
        if item.key not in first and (item.by_hand or item.device.id in alive):
            first[item.key] = _New(new_id(), item, _content(item.checked))
    hands = {item.device.id: item.device for item in batch if item.by_hand}
    await store_hands(db, hands.values())
    stored = await _insert(db, list(first.values()))
    there = await _there(db, [new.item for new in first.values() if new.id not in stored])
    answers: list[Applied | Exception] = []
    fresh = stored.copy()
    for item in batch:
        new = first.get(item.key)
        if new is None:
            answers.append(NotSignedIn())
            continue
        content, reading = there.get(item.key) or (new.content, _reading(new))
        sent = new.content if item is new.item else _content(item.checked)
        if content != sent:
            answers.append(SequenceReused(sequence=item.checked.sequence))
        elif reading.id in fresh:
            fresh.remove(reading.id)
            answers.append(Applied(Outcome.STORED, item.device.person_id, reading))
            emit(db, _fact(reading, item))
        else:
            answers.append(Applied(Outcome.REPEATED, item.device.person_id, reading))
    return answers


def results(applied: Sequence[Applied]) -> list[ReadingResult]:
    """Give the answers in the form a device gets them."""
    return [
        ReadingResult(one.reading.sequence, one.status, one.reading.id, one.reading.flags)
        for one in applied
    ]


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
    return [_of_row(row, name) for row, name in reversed(rows)]


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
    return [_of_row(row, name) for row, name in reversed(rows)]


class _New(msgspec.Struct, frozen=True):
    """A reading with the id it gets if nobody was there before."""

    id: UUID
    item: Incoming
    content: bytes


# One document and jsonb_to_recordset: a statement whose text is the same for any number of rows,
# and one parameter, several times faster than an array a column. Ordered, so that two writers
# cannot deadlock. What the version before the months wrote has no key yet, and its numbers are used
# all the same.
_INSERT = """
    WITH new AS (
        SELECT * FROM jsonb_to_recordset(:new ::jsonb)
        AS new (id uuid, device_id uuid, person_id uuid, sequence bigint, kind text,
                taken_at timestamptz, received_at timestamptz, "values" jsonb, unit text,
                sent_values jsonb, sent_unit text, flags text[], content text)
    ), fresh AS (
        INSERT INTO reading_keys (device_id, sequence, taken_at)
        SELECT device_id, sequence, taken_at FROM new
        WHERE NOT EXISTS (
            SELECT FROM ONLY readings AS old
            WHERE old.device_id = new.device_id AND old.sequence = new.sequence)
        ORDER BY device_id, sequence
        ON CONFLICT (device_id, sequence) DO NOTHING
        RETURNING device_id, sequence
    ), stored AS (
        INSERT INTO month_ (id, device_id, person_id, sequence, kind, taken_at, received_at,
                            "values", unit, sent_values, sent_unit, flags, content)
        SELECT id, device_id, person_id, sequence, kind, taken_at, received_at,
               "values", unit, sent_values, sent_unit, flags, decode(content, 'hex')
        FROM new JOIN fresh USING (device_id, sequence)
        RETURNING id, person_id, kind, taken_at, "values"
    )
"""


@lru_cache(maxsize=32)
def _insert_into(month: Month) -> TextClause:
    return text(filling(month, _INSERT, "SELECT id FROM stored"))


async def _insert(db: AsyncSession, new: Sequence[_New]) -> set[UUID]:
    """Insert what is not there, month by month; give the ids that were inserted."""
    months: dict[Month, list[_New]] = {}
    for one in new:
        months.setdefault(month_of(one.item.checked.taken_at), []).append(one)
    await make_months(db, months)
    stored: set[UUID] = set()
    for month, ones in sorted(months.items()):
        rows = await db.scalars(
            _insert_into(month), {"new": _document(ones)}, execution_options=audit.WRITE_PATH
        )
        stored.update(rows.all())
    return stored


def _document(new: Sequence[_New]) -> str:
    """Rows as the statement takes them."""
    rows = []
    for one in new:
        item, checked = one.item, one.item.checked
        rows.append(
            {
                "id": one.id,
                "device_id": item.device.id,
                "person_id": item.device.person_id,
                "sequence": checked.sequence,
                "kind": checked.kind,
                "taken_at": checked.taken_at,
                "received_at": item.received_at,
                "values": checked.values,
                "unit": checked.unit,
                "sent_values": checked.sent_values,
                "sent_unit": checked.sent_unit,
                "flags": checked.flags,
                "content": one.content.hex(),
            }
        )
    return msgspec.json.encode(rows).decode()


async def _there(
    db: AsyncSession, items: Sequence[Incoming]
) -> dict[tuple[UUID, int], tuple[bytes, Reading]]:
    """Rows already stored under the numbers of these, for the answer to their own sender."""
    if not items:
        return {}
    # Its person and time lead to a repeat in whichever table it is by then: a job may move it.
    times_of = text("""
        SELECT device_id, sequence, taken_at FROM reading_keys
        JOIN unnest(:device_id ::uuid[], :sequence ::bigint[]) AS sent (device_id, sequence)
            USING (device_id, sequence)
        UNION ALL
        SELECT device_id, sequence, taken_at FROM ONLY readings
        JOIN unnest(:device_id ::uuid[], :sequence ::bigint[]) AS sent (device_id, sequence)
            USING (device_id, sequence)
    """)
    devices, numbers = [one.device.id for one in items], [one.checked.sequence for one in items]
    sent = {"device_id": devices, "sequence": numbers}
    found = await db.execute(times_of, sent, execution_options=audit.WRITE_PATH)
    times = {(row.device_id, row.sequence): row.taken_at for row in found}
    persons = {one.key: one.device.person_id for one in items}
    keys = (
        func.unnest(
            literal([persons[key] for key in times], ARRAY(Uuid())),
            literal(list(times.values()), ARRAY(DateTime(timezone=True))),
            literal([device for device, _ in times], ARRAY(Uuid())),
            literal([number for _, number in times], ARRAY(BigInteger())),
        )
        .table_valued(
            column("person_id", Uuid()),
            column("taken_at", DateTime(timezone=True)),
            column("device_id", Uuid()),
            column("sequence", BigInteger()),
        )
        .render_derived(name="known")
    )
    query = (
        select(Readings, Devices.name)
        .join(
            keys,
            and_(*(getattr(Readings, name) == keys.c[name] for name in keys.c.keys())),  # noqa: SIM118
        )
        .join(Devices, Devices.id == Readings.device_id)
    )
    rows = (await db.execute(query, execution_options=audit.WRITE_PATH)).all()
    return {(row.device_id, row.sequence): (row.content, _of_row(row, name)) for row, name in rows}


def _fact(reading: Reading, item: Incoming) -> ReadingStored:
    return ReadingStored(
        at=item.received_at,
        reading_id=reading.id,
        person_id=item.device.person_id,
        device_id=item.device.id,
    )


def _reading(new: _New) -> Reading:
    checked = new.item.checked
    return Reading(
        id=new.id,
        kind=checked.kind,
        sequence=checked.sequence,
        taken_at=checked.taken_at,
        received_at=new.item.received_at,
        values=checked.values,
        unit=checked.unit,
        sent_values=checked.sent_values,
        sent_unit=checked.sent_unit,
        device=Ref(new.item.device.id, new.item.device.name),
        flags=list(checked.flags),
    )


def _of_row(row: Readings, device_name: str) -> Reading:
    return Reading(
        id=row.id,
        kind=Kind(row.kind),
        sequence=row.sequence,
        taken_at=row.taken_at,
        received_at=row.received_at,
        values=row.values,
        unit=row.unit,
        sent_values=row.sent_values,
        sent_unit=row.sent_unit,
        device=Ref(row.device_id, device_name),
        flags=list(row.flags),
    )


def _content(checked: Checked) -> bytes:
    """Digest of what was sent. Flags are left out: they depend on when it arrived."""
    sent = (
        checked.kind.value,
        checked.taken_at,
        sorted(checked.sent_values.items()),
        checked.sent_unit,
    )
    return hashlib.sha256(msgspec.msgpack.encode(sent)).digest()
