"""A person's record outside any one visit: who they are, what was measured, which visits were.

Opened to the person, to who answers for a child's health, and for a while to a doctor: by a share,
as far as its scope goes, or whole by break-glass. A field that is not opened is not there.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people import audit, shares
from people.organisations import Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import NotFound
from people.relations import Relations, allowed
from telemed.readings import Reading, newest_readings
from telemed.visits import Visits, VisitState

VISITS_SHOWN: Final = 200
_BY_DOCTOR: Final = (Kind.BREAK_GLASS, Kind.SHARE)  # the wider first

_doctor = aliased(Persons)


class RecordWay(StrEnum):
    """By what the record is open to who looks."""

    SELF = "self"
    GUARDIAN = "guardian"
    SHARE = "share"
    BREAK_GLASS = "break_glass"


class RecordField(StrEnum):
    """What of a record can be opened apart from the rest."""

    IDENTITY = "identity"
    READINGS = "readings"
    VISITS = "visits"


class RecordVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that was or will be."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    state: VisitState
    doctor: Ref
    organisation: Ref


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record as far as it is open; None stands for a field that is not, "" for a name."""

    person: Ref
    way: RecordWay
    fields: list[RecordField]
    organisation: Ref | None
    until: datetime | None
    opened_by: UUID | None  # the share or the emergency
    born_on: date | None
    readings: list[Reading] | None
    visits: list[RecordVisit] | None


class OpenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is open to a doctor now; without a name when that was not opened."""

    person: Ref
    organisation: Ref
    way: RecordWay
    until: datetime | None
    opened_by: UUID | None


async def get_record(
    db: AsyncSession, actor: Actor, person_id: UUID, organisation_id: UUID | None, now: datetime
) -> Record:
    """Give a person's record to who may see it. Raises NotFound for anybody else.

    A doctor of several clinics says for which he looks; else it is the one it is open to.
    """
    way, right = _way(actor, person_id, organisation_id, now)
    place = right.organisation_id if right is not None and way in _DOCTORS else None
    thing = Thing(subject_id=person_id, organisation_id=place)
    fields = await _fields(db, actor, way, thing, now)
    purpose = audit.Purpose(Act.SEE_RECORD, thing, now)
    person = await _person(db, actor, purpose)
    clinic = None if place is None else await db.get_one(Organisations, place)
    readings = visits = None
    if RecordField.READINGS in fields:
        readings = await newest_readings(db, actor, person_id, purpose)
    if RecordField.VISITS in fields:
        visits = await _visits(db, actor, purpose)
    return Record(
        person=_named(person, known=RecordField.IDENTITY in fields),
        way=way,
        fields=fields,
        organisation=None if clinic is None else Ref(clinic.id, clinic.name),
        until=None if right is None else right.until,
        opened_by=None if right is None or place is None else right.about_id,
        born_on=person.born_on if RecordField.IDENTITY in fields else None,
        readings=readings,
        visits=visits,
    )


async def opened(  # noqa: PLR0917 - who, whose, where from, what, when
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    organisation_id: UUID | None,
    field: RecordField,
    now: datetime,
) -> audit.Purpose:
    """Give the purpose to read one field of a record with. Raises NotFound unless it is open."""
    way, right = _way(actor, person_id, organisation_id, now)
    place = right.organisation_id if right is not None and way in _DOCTORS else None
    thing = Thing(subject_id=person_id, organisation_id=place)
    if field not in await _fields(db, actor, way, thing, now):
        raise NotFound
    return audit.Purpose(Act.SEE_RECORD, thing, now)


async def open_records(db: AsyncSession, actor: Actor, now: datetime) -> list[OpenRecord]:
    """Give the records that are open to the actor as a doctor, the soonest to close first."""
    query = (
        select(Relations, Persons, Organisations, shares.Shares.fields)
        .join(Persons, Persons.id == Relations.subject_id)
        .outerjoin(shares.Shares, shares.Shares.id == Relations.about_id)
        .join(Organisations, Organisations.id == Relations.organisation_id)
        .where(
            Relations.actor_id == actor.id,
            Relations.kind.in_([kind.value for kind in _BY_DOCTOR]),
            Relations.live(now),
        )
        .order_by(Relations.until, Relations.id)
    )
    return [
        OpenRecord(
            person=_named(
                person, known=row.kind != Kind.SHARE or RecordField.IDENTITY in (fields or ())
            ),
            organisation=Ref(clinic.id, clinic.name),
            way=RecordWay(row.kind),
            until=row.until,
            opened_by=row.about_id,
        )
        for row, person, clinic, fields in (await db.execute(query)).all()
        if may(actor, Act.SEE_RECORD, Thing(subject_id=person.id, organisation_id=clinic.id), now)
    ]


_DOCTORS: Final = (RecordWay.SHARE, RecordWay.BREAK_GLASS)


def _way(
    actor: Actor, person_id: UUID, organisation_id: UUID | None, now: datetime
) -> tuple[RecordWay, Right | None]:
    """By what the record is open. Raises NotFound. A person's own hat goes before any other."""
    mine = Thing(subject_id=person_id)
    if organisation_id is None and may(actor, Act.SEE_RECORD, mine, now):
        if actor.id == person_id:
            return RecordWay.SELF, None
        return RecordWay.GUARDIAN, _held(actor, Kind.CHILD_HEALTH, mine, now)
    for kind in _BY_DOCTOR:
        for right in actor.rights:
            thing = Thing(subject_id=person_id, organisation_id=right.organisation_id)
            if (
                right.kind is kind
                and right.live(now)
                and right.subject_id == person_id
                and organisation_id in {None, right.organisation_id}
                and may(actor, Act.SEE_RECORD, thing, now)
            ):
                return RecordWay(kind.value), right
    raise NotFound


def _held(actor: Actor, kind: Kind, thing: Thing, now: datetime) -> Right | None:
    mine = (r for r in actor.rights if r.kind is kind and r.subject_id == thing.subject_id)
    return next((right for right in mine if right.live(now)), None)


async def _fields(
    db: AsyncSession, actor: Actor, way: RecordWay, thing: Thing, now: datetime
) -> list[RecordField]:
    """Everything, but for a share: what the person put into it."""
    if way is not RecordWay.SHARE:
        return list(RecordField)
    if actor.id is None or thing.subject_id is None or thing.organisation_id is None:
        raise NotFound
    scope = await shares.scope(db, actor.id, thing.subject_id, thing.organisation_id, now)
    return [field for field in RecordField if field.value in scope]


async def _person(db: AsyncSession, actor: Actor, purpose: audit.Purpose) -> Persons:
    """The person; every look at a record leaves this trace, however little of it is open."""
    thing = purpose.thing
    if actor.id is None:
        raise NotFound
    query = select(Persons).where(
        Persons.id == thing.subject_id,
        allowed(
            purpose.act,
            actor.id,
            purpose.at,
            subject=Persons.id,
            organisation=thing.organisation_id,
        ),
    )
    rows = await audit.read(db, actor, query, purpose)
    if not rows:
        raise NotFound
    return rows[0][0]


async def _visits(db: AsyncSession, actor: Actor, purpose: audit.Purpose) -> list[RecordVisit]:
    query = (
        select(Visits, _doctor, Organisations)
        .join(_doctor, _doctor.id == Visits.doctor_id)
        .join(Organisations, Organisations.id == Visits.organisation_id)
        .where(Visits.patient_id == purpose.thing.subject_id)
        .order_by(Visits.starts_at.desc(), Visits.id)
        .limit(VISITS_SHOWN)
    )
    return [
        RecordVisit(
            id=row.id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            state=VisitState(row.state),
            doctor=_ref(doctor),
            organisation=Ref(clinic.id, clinic.name),
        )
        for row, doctor, clinic in await audit.read(db, actor, query, purpose)
    ]


def _named(person: Persons, *, known: bool) -> Ref:
    """Whose record it is; the name is a field of it like any other."""
    return _ref(person) if known else Ref(person.id, "")


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))
