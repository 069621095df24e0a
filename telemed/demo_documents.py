"""Demo documents: one signed, one that a school was given, one revoked.

Each comes from a visit that was held in the days before the first run; a run that finds them makes
nothing.
"""

from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.ages import local_day
from people.demo import CLINIC_7, GYMNASIUM_2, SOURCE, demo_id
from people.document_contents import Certificate, Conclusion, Content, Referral
from people.document_deliveries import NewDelivery, give_to_school
from people.document_signing import Revocation, SignDocument, revoke, sign
from people.documents import Documents
from people.organisations import Organisations
from people.policy import Kind, Right
from people.relations import actor_of, grant
from people.sessions import Caller
from storage.engine import new_id
from telemed.demo_days import ZONE
from telemed.visit_documents import NewDocument, draft
from telemed.visits import Visits, VisitState

_LONG = timedelta(minutes=30)
_DAY = timedelta(days=1)
_HELD_UNTIL = time(10, 30)


async def seed_documents(db: AsyncSession, home: Path, now: datetime) -> None:
    """Make what is not there yet, after the visits and the guardians of the demo."""
    clinic = await db.get_one(Organisations, demo_id(CLINIC_7))
    today = local_day(now, clinic.timezone)
    conclusion = Conclusion(
        diagnosis="Артериальная гипертензия",
        icd10="I10",
        text="Давление утром до 150/95 мм рт. ст., самочувствие удовлетворительное.",
        advice="Измерять давление утром и вечером, показания присылать отсюда же.",
    )
    certificate = Certificate(
        absent_from=today - timedelta(days=3),
        absent_until=today - timedelta(days=1),
        sports_until=today + timedelta(days=13),
        diagnosis="Острая инфекция верхних дыхательных путей",
        icd10="J06.9",
    )
    referral = Referral(to="Кардиолог", reason="Перебои в работе сердца.", icd10="I49.9")
    await _signed(db, home, ("doctor.amina", "patient.rinat", _DAY), conclusion, now)
    given = await _signed(db, home, ("doctor.ivan", "pupil.aidar", _DAY), certificate, now)
    if given is not None:
        father = await actor_of(db, demo_id("parent.damir"), now)
        await give_to_school(db, father, given, NewDelivery(demo_id(GYMNASIUM_2)), now)
    wrong = await _signed(db, home, ("doctor.ivan", "patient.olga", 2 * _DAY), referral, now)
    if wrong is not None:
        doctor = await _caller(db, "doctor.ivan", now)
        why = Revocation("Направление выписано другому пациенту по ошибке.")
        await revoke(db, doctor, wrong, why, now)


async def _signed(
    db: AsyncSession, home: Path, visit: tuple[str, str, timedelta], content: Content, now: datetime
) -> UUID | None:
    """Sign a document of a visit: of whom, how long ago. None when it was done before."""
    doctor, patient, ago = visit
    visit_id = demo_id(f"visit with a document of {patient}")
    there = select(Documents.id).where(Documents.about_id == visit_id).limit(1)
    if await db.scalar(there) is not None:
        return None
    await _held(db, visit_id, (doctor, patient, ago), now)
    caller = await _caller(db, doctor, now)
    made = await draft(db, caller.actor, visit_id, NewDocument(content), now)
    await sign(db, caller, made.id, SignDocument(made.changes), now, home=home)
    return made.id


async def _held(
    db: AsyncSession, visit_id: UUID, visit: tuple[str, str, timedelta], now: datetime
) -> None:
    doctor, patient, ago = visit
    # In the morning: seeded around midnight, a visit of yesterday must not be one of today.
    ends_at = datetime.combine(local_day(now - ago, str(ZONE)), _HELD_UNTIL, ZONE)
    row = Visits(
        id=visit_id,
        organisation_id=demo_id(CLINIC_7),
        patient_id=demo_id(patient),
        doctor_id=demo_id(doctor),
        state=VisitState.CLOSED.value,
        starts_at=ends_at - _LONG,
        ends_at=ends_at,
        opened_at=ends_at - _LONG,
        closed_at=ends_at,
    )
    db.add(row)
    await db.flush()
    right = Right(
        actor_id=row.doctor_id,
        kind=Kind.RECORD,
        subject_id=row.patient_id,
        organisation_id=row.organisation_id,
        about_id=row.id,
        since=now,
    )
    await grant(db, right, SOURCE)


async def _caller(db: AsyncSession, login: str, now: datetime) -> Caller:
    """Somebody of the cast, as if he had just signed in."""
    person = demo_id(login)
    return Caller(new_id(), await actor_of(db, person, now), person, now)
