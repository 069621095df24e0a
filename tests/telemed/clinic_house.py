"""A small clinic for the tests of telemed: two doctors, two patients, an administrator, devices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people.device_tokens import KnownDevice, NewDevice, add_device
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import actor_of, grant
from storage.engine import new_id
from telemed.visits import NewVisit, book

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class House:
    """Two clinics, people of the first, and one visit there that is booked for now."""

    clinic: UUID
    other_clinic: UUID
    doctor: UUID
    colleague: UUID
    foreign_doctor: UUID
    patient: UUID
    other_patient: UUID
    administrator: UUID
    visit: UUID
    cuff: KnownDevice
    recorder: KnownDevice

    async def as_(self, db: AsyncSession, person: UUID, now: datetime = NOW) -> Actor:
        """The person with the rights of this moment."""
        return await actor_of(db, person, now)


async def furnish(db: AsyncSession) -> House:
    """Write the rows of a house."""
    clinic, other_clinic = new_id(), new_id()
    db.add_all(Organisations(id=i, kind="clinic", name="Айболит") for i in (clinic, other_clinic))
    await db.flush()
    doctor, colleague, foreign, patient, other, administrator = [
        await _person(db, *cast)
        for cast in (
            ("Амина", Kind.DUTY, clinic),
            ("Иван", Kind.DUTY, clinic),
            ("Павел", Kind.DUTY, other_clinic),
            ("Ринат", Kind.ATTACHMENT, clinic),
            ("Ольга", Kind.ATTACHMENT, clinic),
            ("Гөлнара", Kind.ADMINISTRATION, clinic),
        )
    ]
    booked = NewVisit(
        organisation_id=clinic,
        patient_id=patient,
        doctor_id=doctor,
        starts_at=NOW - timedelta(minutes=10),
        ends_at=NOW + timedelta(hours=1),
    )
    visit = await book(db, await actor_of(db, administrator, NOW), booked, NOW)
    cuff, recorder = [
        (await add_device(db, Actor(patient), patient, new, NOW))[0]
        for new in (
            NewDevice("Тонометр", "cuff", ["blood_pressure"]),
            NewDevice("Регистратор", "ecg", ["ecg"]),
        )
    ]
    return House(
        clinic,
        other_clinic,
        doctor,
        colleague,
        foreign,
        patient,
        other,
        administrator,
        visit,
        cuff,
        recorder,
    )


async def _person(db: AsyncSession, name: str, kind: Kind, organisation: UUID) -> UUID:
    row = Persons(id=new_id(), family_name="Хасан", given_name=name, created_at=NOW)
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=kind, organisation_id=organisation, since=NOW)
    await grant(db, right, "test")
    return row.id
