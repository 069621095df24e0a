"""Visits: a doctor and a patient meet. Booking opens the relations, closing ends them.

While a visit is booked or open both sides hold an `appointment` about it. Closing ends both and
leaves the doctor a `record`: the papers of that visit stay readable, nothing live does. A visit
that nobody closes is over OVERTIME after its end all the same: nobody joins or opens it any more,
and what the patient measures from then on is not part of it.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import (
    BindParameter,
    CheckConstraint,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Select,
    Uuid,
    bindparam,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.facts import VisitBooked, VisitClosed, VisitOpened, emit
from people.notices import notify
from people.organisations import Organisations, Ref, on_local_day
from people.persons import Persons, full_name
from people.policy import ACTS, Act, Actor, Kind, Right, Rule, Thing, may, require
from people.refused import Forbidden, NotFound
from people.relations import actor_of, allowed, end, grant
from storage.engine import Base, new_id
from telemed.telemedicine import require_consent

# Readings a visit shows begin a day before it: what the patient measured for this visit.
READINGS_BEFORE = timedelta(hours=24)
# A forgotten visit must not let its doctor look on for ever; half a day is longer than any delay.
OVERTIME = timedelta(hours=12)
MEDIA = ["audio", "video", "screen"]

_patient = aliased(Persons)
_doctor = aliased(Persons)


class Visits(Base):
    """One visit. Who took part is never rewritten."""

    __tablename__ = "visits"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    state: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="times"),
        CheckConstraint("patient_id <> doctor_id", name="two_people"),
        CheckConstraint("state IN ('booked', 'open', 'closed')", name="state"),
        Index(None, "patient_id", "starts_at"),
        Index(None, "doctor_id", "starts_at"),
    )


class Window(NamedTuple):
    """What was measured from `since` to `until`, both included, is part of a visit."""

    since: datetime
    until: datetime


def window(visit: Visits) -> Window:
    """From a day before the visit until it was closed, or is over though nobody closed it."""
    over = visit.ends_at + OVERTIME
    until = over if visit.closed_at is None else min(visit.closed_at, over)
    return Window(visit.starts_at - READINGS_BEFORE, until)


class VisitState(StrEnum):
    """booked → open → closed; a booked visit may be closed without having been open."""

    BOOKED = "booked"
    OPEN = "open"
    CLOSED = "closed"


class VisitSide(StrEnum):
    """On which side of the visit."""

    DOCTOR = "doctor"
    PATIENT = "patient"


class VisitSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A visit in somebody's day."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    state: VisitState
    my_side: VisitSide
    other: Ref
    organisation: Ref


class Visit(VisitSummary, frozen=True, kw_only=True):
    """A visit on its own page. `grants` is what the caller may publish: nothing until it opens."""

    opened_at: datetime | None
    closed_at: datetime | None
    patient: Ref
    doctor: Ref
    grants: list[str]


class NewVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit to be booked."""

    organisation_id: UUID
    patient_id: UUID
    doctor_id: UUID
    starts_at: datetime
    ends_at: datetime
    id: UUID = msgspec.field(default_factory=new_id)


def visible_to(
    person_id: UUID | BindParameter[UUID], now: datetime | BindParameter[datetime]
) -> Select[Visits, Organisations, Persons, Persons]:
    """Visits this person may see, with clinic, patient and doctor."""
    return (
        select(Visits, Organisations, _patient, _doctor)
        .join(Organisations, Organisations.id == Visits.organisation_id)
        .join(_patient, _patient.id == Visits.patient_id)
        .join(_doctor, _doctor.id == Visits.doctor_id)
        .where(_may_see(person_id, now))
    )


def _may_see(
    person_id: UUID | BindParameter[UUID], now: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    return allowed(
        Act.SEE_VISIT,
        person_id,
        now,
        subject=Visits.patient_id,
        organisation=Visits.organisation_id,
        about=(Visits.id,),
    )


_PERSON, _NOW = (
    bindparam("person_id", type_=Uuid()),
    bindparam("now", type_=DateTime(timezone=True)),
)


@cache
def _one_seen(_: tuple[Rule, ...]) -> Select[Visits]:
    """Made once: every look at a visit asks it, and making it anew costs more than the answer."""
    return select(Visits).where(Visits.id == bindparam("visit_id"), _may_see(_PERSON, _NOW))


@cache
def _one_whole(_: tuple[Rule, ...]) -> Select[Visits, Organisations, Persons, Persons]:
    """Made once for the rules that it asks by, as `_one_seen`."""
    return visible_to(_PERSON, _NOW).where(Visits.id == bindparam("visit_id"))


def thing(visit: Visits) -> Thing:
    """The visit as policy sees it."""
    return Thing(
        subject_id=visit.patient_id, organisation_id=visit.organisation_id, about=(visit.id,)
    )


async def book(db: AsyncSession, actor: Actor, new: NewVisit, now: datetime) -> UUID:
    """Book a visit and open both sides' relations to it.

    Raises Forbidden unless the actor administers the clinic, the doctor works there and the
    patient is attached to it.
    """
    clinic = Thing(organisation_id=new.organisation_id)
    require(actor, Act.BOOK_VISIT, clinic, now)
    if not (
        await _belongs(db, new.doctor_id, Kind.DUTY, new.organisation_id, now)
        and await _belongs(db, new.patient_id, Kind.ATTACHMENT, new.organisation_id, now)
    ):
        raise Forbidden
    row = Visits(
        id=new.id,
        organisation_id=new.organisation_id,
        patient_id=new.patient_id,
        doctor_id=new.doctor_id,
        state=VisitState.BOOKED.value,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
    )
    db.add(row)
    await db.flush()
    for side in (new.doctor_id, new.patient_id):
        await grant(db, _right(row, side, Kind.APPOINTMENT, now), "booking")
    await audit.acted(db, actor.id, "visit_booked", thing(row), now)
    emit(db, VisitBooked(at=now, visit_id=row.id))
    await _tell(db, row, now)
    return row.id


async def _tell(db: AsyncSession, row: Visits, now: datetime) -> None:
    """Let both sides know of a visit that is still ahead."""
    if row.starts_at <= now:
        return
    doctor = await db.get(Persons, row.doctor_id)
    name = full_name(doctor.given_name, doctor.family_name) if doctor else ""
    at = row.starts_at.isoformat()
    for_patient = {"at": at, "doctor": name}
    await notify(db, row.patient_id, "visit_booked", for_patient, now, about=row.id)
    await notify(db, row.doctor_id, "visit_booked_doctor", {"at": at}, now, about=row.id)


async def open_visit(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Visit:
    """Let media flow. Opening twice is opening; a closed visit stays closed (Forbidden)."""
    row = await seen(db, actor, visit_id, now, lock=True)
    require(actor, Act.OPEN_VISIT, thing(row), now)
    _require_time_left(row, now)
    await require_consent(db, row.patient_id, row.organisation_id, now)
    if row.state == VisitState.BOOKED:
        row.state = VisitState.OPEN.value
        row.opened_at = now
        await db.flush()
        await audit.acted(db, actor.id, "visit_opened", thing(row), now)
        emit(db, VisitOpened(at=now, visit_id=row.id))
    return await get_visit(db, actor, visit_id, now)


async def close_visit(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Visit:
    """End the visit and every live right to it. Closing twice is closing."""
    row = await seen(db, actor, visit_id, now, lock=True)
    require(actor, Act.CLOSE_VISIT, thing(row), now)
    if row.state != VisitState.CLOSED:
        row.state = VisitState.CLOSED.value
        row.closed_at = now
        await db.flush()
        await end(db, Kind.APPOINTMENT, row.id, now)
        await grant(db, _right(row, row.doctor_id, Kind.RECORD, now), "closing")
        await audit.acted(db, actor.id, "visit_closed", thing(row), now)
        emit(db, VisitClosed(at=now, visit_id=row.id))
    return await get_visit(db, await actor_of(db, row.doctor_id, now), visit_id, now)


async def get_visit(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Visit:
    """Give a visit to its doctor or patient. Raises NotFound for anybody else."""
    return _shown(await _whole(db, actor, visit_id, now), actor, now)


async def _whole(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> tuple[Visits, Organisations, Persons, Persons]:
    if actor.id is None:
        raise NotFound
    asked = {"visit_id": visit_id, "person_id": actor.id, "now": now}
    found = (await db.execute(_one_whole(ACTS[Act.SEE_VISIT]), asked)).one_or_none()
    if found is None:
        raise NotFound
    row, clinic, patient, doctor = found
    return row, clinic, patient, doctor


def _shown(
    found: tuple[Visits, Organisations, Persons, Persons], actor: Actor, now: datetime
) -> Visit:
    row, clinic, patient, doctor = found
    live = row.state == VisitState.OPEN and now <= window(row).until
    joined = live and may(actor, Act.JOIN_VISIT, thing(row), now)
    return Visit(
        **_summary(row, clinic, patient, doctor, actor.id),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        patient=_ref(patient),
        doctor=_ref(doctor),
        grants=list(MEDIA) if joined else [],
    )


async def my_visits(
    db: AsyncSession, actor: Actor, day: date | None, now: datetime
) -> list[VisitSummary]:
    """Visits of the actor on the clinic's local `day` (its today when None), in order of time."""
    if actor.id is None:
        return []
    query = (
        visible_to(actor.id, now)
        .where(on_local_day(day, now, Visits.starts_at, Visits.ends_at))
        .order_by(Visits.starts_at, Visits.id)
    )
    return [
        VisitSummary(**_summary(row, clinic, patient, doctor, actor.id))
        for row, clinic, patient, doctor in (await db.execute(query)).all()
    ]


async def require_join(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Visit:
    """Give the visit to somebody who may sit in it now: before a ticket, at hello, and again.

    Raises NotFound for strangers, Forbidden when the visit is closed or over, ConsentWithdrawn.
    """
    # Asked once: every open page is looked at anew every few seconds.
    found = await _whole(db, actor, visit_id, now)
    row = found[0]
    require(actor, Act.JOIN_VISIT, thing(row), now)
    _require_time_left(row, now)
    await require_consent(db, row.patient_id, row.organisation_id, now)
    return _shown(found, actor, now)


async def seen(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime, *, lock: bool = False
) -> Visits:
    """Give the row of a visit the actor may see. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    query = _one_seen(ACTS[Act.SEE_VISIT])
    if lock:
        query = query.with_for_update(of=Visits).execution_options(populate_existing=True)
    row = await db.scalar(query, {"visit_id": visit_id, "person_id": actor.id, "now": now})
    if row is None:
        raise NotFound
    return row


async def measured(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> Visits:
    """Give the row of a visit whose readings and trace the actor may look at.

    Raises NotFound, and ConsentWithdrawn for the doctor of a patient who took the word back before
    the visit was closed. One's own stays one's own.
    """
    row = await seen(db, actor, visit_id, now)
    if actor.id != row.patient_id:
        place, before = row.organisation_id, row.closed_at
        await require_consent(db, row.patient_id, place, now, before=before)
    return row


def _require_time_left(visit: Visits, now: datetime) -> None:
    if now > window(visit).until:
        raise Forbidden


async def _belongs(
    db: AsyncSession, person_id: UUID, kind: Kind, organisation_id: UUID, now: datetime
) -> bool:
    rights = (await actor_of(db, person_id, now)).rights
    return any(r.kind is kind and r.organisation_id == organisation_id for r in rights)


def _right(row: Visits, actor_id: UUID, kind: Kind, now: datetime) -> Right:
    return Right(
        actor_id=actor_id,
        kind=kind,
        subject_id=row.patient_id,
        organisation_id=row.organisation_id,
        about_id=row.id,
        since=now,
    )


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))


def _summary(
    row: Visits, clinic: Organisations, patient: Persons, doctor: Persons, me: UUID | None
) -> dict[str, Any]:
    mine = VisitSide.PATIENT if row.patient_id == me else VisitSide.DOCTOR
    return {
        "id": row.id,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "state": VisitState(row.state),
        "my_side": mine,
        "other": _ref(doctor if mine is VisitSide.PATIENT else patient),
        "organisation": Ref(clinic.id, clinic.name),
    }
