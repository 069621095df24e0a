"""Break-glass: in an emergency a doctor opens the record of a patient he has no relation to.

It costs a reason and a fresh proof of who he is, lasts an hour, is told to the patient at once, and
lies before the clinic's administrator until somebody else than the doctor has judged it. Reasons
speak of health, so they are read as health is.
"""

from datetime import date, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, ForeignKey, Index, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.administration import require_at
from people.audit import AuditReads, acted
from people.facts import RightsChanged, emit
from people.households import guardians_of
from people.notices import notify
from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound, OutOfRange, Refused
from people.relations import Relations, allowed, grant
from people.sessions import Caller
from people.step_up import require_fresh
from storage.engine import Base, new_id

LASTS: Final = timedelta(hours=1)
REASON_MIN: Final = 20
TEXT_MAX: Final = 1000
REVIEWS_SHOWN: Final = 200

_patient, _doctor, _reviewer = aliased(Persons), aliased(Persons), aliased(Persons)


@audit.health_table
class BreakGlass(Base):
    """One emergency. Never rewritten, but for its end and the judgement on it."""

    __tablename__ = "break_glass"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    doctor_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    patient_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    reason: Mapped[str]
    opened_at: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    justified: Mapped[bool | None]
    review: Mapped[str | None]

    __table_args__ = (
        Index(None, "organisation_id", "opened_at"),
        Index(None, "patient_id"),
    )


class NewBreakGlass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose record, and why. Without an id the patient is named in full, with the birth date."""

    reason: str
    person_id: UUID | None = None
    family_name: str = ""
    given_name: str = ""
    born_on: date | None = None


class OpenedRecord(msgspec.Struct, frozen=True):
    """A record that is open to the doctor now."""

    id: UUID
    person: Ref
    organisation: Ref
    opened_at: datetime
    until: datetime


class BreakGlassReview(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency as the administrator judges it; `reads` counts the looks into the record."""

    id: UUID
    doctor: Ref
    patient: Ref
    reason: str
    opened_at: datetime
    until: datetime
    ended_at: datetime | None
    reads: int
    mine: bool
    reviewed_at: datetime | None
    reviewed_by: Ref | None
    justified: bool | None
    review: str | None


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the administrator found, in a word and, who wants, in a sentence."""

    justified: bool
    review: str = ""


class PatientNotFound(NotFound):
    """Not exactly one patient of the clinic: who asks for people by name leaves a trace of it."""

    keeps_writes = True


class AlreadyReviewed(Refused):
    """The first judgement stands."""

    status = 409
    code = "already_reviewed"


async def break_glass(
    db: AsyncSession, caller: Caller, organisation_id: UUID, new: NewBreakGlass, now: datetime
) -> OpenedRecord:
    """Open a patient's record to the doctor for an hour; what is open already stays as it is.

    Raises StepUpNeeded, OutOfRange for a reason too short to be one, and PatientNotFound unless
    exactly one patient of this clinic is meant.
    """
    clinic = await _clinic(db, caller.actor, organisation_id, now)
    require_fresh(caller, now)
    reason = new.reason.strip()
    if not REASON_MIN <= len(reason) <= TEXT_MAX:
        raise OutOfRange("reason", REASON_MIN, TEXT_MAX)
    patient = await _patient_of(db, organisation_id, new, now)
    if patient is None or patient.id == caller.person_id:
        place = Thing(organisation_id=organisation_id)
        await acted(db, caller.person_id, "break_glass_missed", place, now)
        raise PatientNotFound
    there = await _open_already(db, caller.person_id, patient.id, organisation_id, now)
    if there is not None:
        return _opened(there.about_id, patient, clinic, there.since, there.until)
    row = BreakGlass(
        id=new_id(),
        organisation_id=organisation_id,
        doctor_id=caller.person_id,
        patient_id=patient.id,
        reason=reason,
        opened_at=now,
        until=now + LASTS,
    )
    db.add(row)
    await db.flush()
    right = Right(
        actor_id=caller.person_id,
        kind=Kind.BREAK_GLASS,
        subject_id=patient.id,
        organisation_id=organisation_id,
        about_id=row.id,
        since=now,
        until=row.until,
    )
    await grant(db, right, "emergency")
    await acted(db, caller.person_id, Act.BREAK_GLASS, _thing(right), now)
    emit(db, RightsChanged(at=now, person_id=caller.person_id))
    await _tell(db, right, patient, clinic, now)
    return _opened(row.id, patient, clinic, now, row.until)


async def end_break_glass(db: AsyncSession, actor: Actor, glass_id: UUID, now: datetime) -> None:
    """End an hour before its time: the doctor his own, the administrator any of the clinic."""
    held, thing = await _held(db, glass_id)
    if held.actor_id != actor.id and not may(actor, Act.REVIEW_BREAK_GLASS, thing, now):
        raise NotFound
    if held.until is None or held.until <= now:
        return  # ending twice is ending
    held.until = now
    await db.execute(update(BreakGlass).where(BreakGlass.id == glass_id).values(ended_at=now))
    await acted(db, actor.id, "break_glass_ended", thing, now)
    emit(db, RightsChanged(at=now, person_id=held.actor_id))


async def reviews(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[BreakGlassReview]:
    """Give the clinic's emergencies to its administrator: unjudged ones first, then the newest."""
    require_at(actor, Act.REVIEW_BREAK_GLASS, organisation_id, now)
    looked = (
        select(func.count())
        .where(
            AuditReads.subject_id == BreakGlass.patient_id,
            AuditReads.actor_id == BreakGlass.doctor_id,
            AuditReads.organisation_id == BreakGlass.organisation_id,
            AuditReads.act == Act.SEE_RECORD.value,
            AuditReads.at.between(BreakGlass.opened_at, BreakGlass.until),
        )
        .scalar_subquery()
    )
    query = (
        select(BreakGlass, _doctor, _patient, _reviewer, looked)
        .join(_doctor, _doctor.id == BreakGlass.doctor_id)
        .join(_patient, _patient.id == BreakGlass.patient_id)
        .outerjoin(_reviewer, _reviewer.id == BreakGlass.reviewed_by)
        .where(
            BreakGlass.organisation_id == organisation_id,
            allowed(
                Act.REVIEW_BREAK_GLASS,
                _known(actor),
                now,
                organisation=BreakGlass.organisation_id,
            ),
        )
        .order_by(BreakGlass.reviewed_at.is_not(None), BreakGlass.opened_at.desc(), BreakGlass.id)
        .limit(REVIEWS_SHOWN)
    )
    thing = Thing(organisation_id=organisation_id)
    rows = await audit.read(db, actor, query, audit.Purpose(Act.REVIEW_BREAK_GLASS, thing, now))
    return [
        BreakGlassReview(
            id=row.id,
            doctor=_ref(doctor),
            patient=_ref(patient),
            reason=row.reason,
            opened_at=row.opened_at,
            until=row.until,
            ended_at=row.ended_at,
            reads=reads,
            mine=row.doctor_id == actor.id,
            reviewed_at=row.reviewed_at,
            reviewed_by=None if reviewer is None else _ref(reviewer),
            justified=row.justified,
            review=row.review,
        )
        for row, doctor, patient, reviewer, reads in rows
    ]


async def review(
    db: AsyncSession, actor: Actor, glass_id: UUID, verdict: Verdict, now: datetime
) -> None:
    """Judge an emergency. The doctor does not judge his own, and the first judgement stands."""
    held, thing = await _held(db, glass_id)
    if not may(actor, Act.REVIEW_BREAK_GLASS, thing, now):
        raise NotFound
    if held.actor_id == actor.id:
        raise Forbidden(Act.REVIEW_BREAK_GLASS, thing, actor.id)
    text = verdict.review.strip()
    if len(text) > TEXT_MAX:
        raise OutOfRange("review", 0, TEXT_MAX)
    first = and_(BreakGlass.id == glass_id, BreakGlass.reviewed_at.is_(None))
    query = (
        update(BreakGlass)
        .where(first)
        .values(
            reviewed_at=now, reviewed_by=actor.id, justified=verdict.justified, review=text or None
        )
        .execution_options(synchronize_session=False)
    )
    # An UPDATE counts its rows; RETURNING them would be a read of health.
    if cast("CursorResult[Any]", await db.execute(query)).rowcount == 0:
        raise AlreadyReviewed
    word = "break_glass_justified" if verdict.justified else "break_glass_unjustified"
    await acted(db, actor.id, word, thing, now)
    for person_id in (held.subject_id, held.actor_id):
        if person_id is not None:
            await notify(db, person_id, word, {}, now, about=glass_id)


async def _held(db: AsyncSession, glass_id: UUID) -> tuple[Relations, Thing]:
    """The right that an emergency gave, over or not, and what it is about. Raises NotFound."""
    query = select(Relations).where(
        Relations.kind == Kind.BREAK_GLASS.value, Relations.about_id == glass_id
    )
    held = await db.scalar(query.with_for_update())
    if held is None:
        raise NotFound
    place = held.organisation_id
    return held, Thing(subject_id=held.subject_id, organisation_id=place, about=(glass_id,))


async def _clinic(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> Organisations:
    """The clinic the actor is on duty in. A teacher is on duty too: a school has no records."""
    require_at(actor, Act.BREAK_GLASS, organisation_id, now)
    found = await db.get(Organisations, organisation_id)
    if found is None or found.kind != OrganisationKind.CLINIC.value:
        raise Forbidden(Act.BREAK_GLASS, Thing(organisation_id=organisation_id), actor.id)
    return found


async def _patient_of(
    db: AsyncSession, organisation_id: UUID, new: NewBreakGlass, now: datetime
) -> Persons | None:
    """The one patient of the clinic who is meant; of two namesakes of one birth date, neither."""
    attached = select(Relations.actor_id).where(
        Relations.kind == Kind.ATTACHMENT.value,
        Relations.organisation_id == organisation_id,
        Relations.live(now),
    )
    query = select(Persons).where(Persons.id.in_(attached)).limit(2)
    if new.person_id is not None:
        query = query.where(Persons.id == new.person_id)
    else:
        query = query.where(
            func.lower(Persons.family_name) == new.family_name.strip().lower(),
            func.lower(Persons.given_name) == new.given_name.strip().lower(),
            Persons.born_on == new.born_on,
        )
    found = (await db.scalars(query)).all()
    return found[0] if len(found) == 1 else None


async def _open_already(
    db: AsyncSession, doctor_id: UUID, patient_id: UUID, organisation_id: UUID, now: datetime
) -> Relations | None:
    query = select(Relations).where(
        Relations.kind == Kind.BREAK_GLASS.value,
        Relations.actor_id == doctor_id,
        Relations.subject_id == patient_id,
        Relations.organisation_id == organisation_id,
        Relations.live(now),
    )
    found: Relations | None = await db.scalar(query.limit(1))
    return found


async def _tell(
    db: AsyncSession, right: Right, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """The patient and who answers for a child hear of it now, the administrators when they wake."""
    doctor = await db.get_one(Persons, right.actor_id)
    params = {
        "doctor": full_name(doctor.given_name, doctor.family_name),
        "organisation": clinic.name,
        "until_at": (right.until or now).isoformat(),
    }
    told = [patient.id, *await guardians_of(db, patient.id, now, Kind.CHILD_HEALTH)]
    for person_id in dict.fromkeys(told):
        await notify(
            db, person_id, "break_glass_opened", params, now, critical=True, about=right.about_id
        )
    query = select(Relations.actor_id).where(
        Relations.kind == Kind.ADMINISTRATION.value,
        Relations.organisation_id == clinic.id,
        Relations.live(now),
    )
    for person_id in (await db.scalars(query)).all():
        short = {"doctor": params["doctor"]}
        await notify(db, person_id, "break_glass_to_review", short, now, about=right.about_id)


def _thing(right: Right) -> Thing:
    about = () if right.about_id is None else (right.about_id,)
    return Thing(subject_id=right.subject_id, organisation_id=right.organisation_id, about=about)


def _known(actor: Actor) -> UUID:
    if actor.id is None:
        raise NotFound
    return actor.id


def _opened(
    glass_id: UUID | None,
    patient: Persons,
    clinic: Organisations,
    since: datetime,
    until: datetime | None,
) -> OpenedRecord:
    if glass_id is None or until is None:
        raise NotFound
    return OpenedRecord(glass_id, _ref(patient), Ref(clinic.id, clinic.name), since, until)


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))
