"""A visit with its doctor's hand at the documents: draft, sign and print in one call."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.document_contents import Certificate, Content
from people.document_deliveries import NewDelivery
from people.document_outside import Outside
from people.document_prints import print_document
from people.document_signing import SignDocument, sign
from people.documents import Document, DocumentViews
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import grant
from people.sessions import Caller
from storage.engine import new_id
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed.visit_documents import NewDocument, draft
from tests.telemed.clinic_house import NOW, House

ILL = Certificate(
    absent_from=datetime(2026, 3, 2).date(),  # noqa: DTZ001 - a day
    absent_until=datetime(2026, 3, 5).date(),  # noqa: DTZ001
    sports_until=datetime(2026, 3, 19).date(),  # noqa: DTZ001
    diagnosis="Кискен тын алу юллары авыруы: ә ө ү җ ң һ",
    icd10="J06.9",
)


async def caller(db: AsyncSession, house: House, person: UUID, now: datetime) -> Caller:
    """Somebody who proved just now to be the person."""
    return Caller(new_id(), await house.as_(db, person, now), person, now)


async def signed(
    db: AsyncSession,
    house: House,
    settings: Settings,
    now: datetime,
    content: Content = ILL,
    *,
    outside: Outside | None = None,
) -> Document:
    """A signed document of the house's visit."""
    doctor = await caller(db, house, house.doctor, now)
    made = await draft(db, doctor.actor, house.visit, NewDocument(content), now)
    asked = SignDocument(made.changes)
    return await sign(db, doctor, made.id, asked, now, home=settings.home, outside=outside)


async def school_of(db: AsyncSession, house: House) -> tuple[NewDelivery, dict[str, Actor]]:
    """A school where the patient is a pupil, with its clerk and a teacher."""
    school = Organisations(id=new_id(), kind="school", name="Гимназия")
    db.add(school)
    await db.flush()
    cast = {}
    for word, kind in (("clerk", Kind.CLERKSHIP), ("teacher", Kind.DUTY)):
        row = Persons(id=new_id(), family_name="Хасан", given_name=word, created_at=NOW)
        db.add(row)
        await db.flush()
        right = Right(actor_id=row.id, kind=kind, organisation_id=school.id, since=NOW)
        await grant(db, right, "test")
        cast[word] = await house.as_(db, row.id)
    right = Right(actor_id=house.patient, kind=Kind.CLASS, organisation_id=school.id, since=NOW)
    await grant(db, right, "test")
    return NewDelivery(school.id), cast


async def print_all(
    db: AsyncSession, objects: Objects, settings: Settings, document: Document, now: datetime
) -> None:
    """Do the jobs that signing asked for."""
    views = select(DocumentViews.id).where(DocumentViews.document_id == document.id)
    for view_id in (await db.scalars(views)).all():
        await print_document(Work(db, objects, settings, now), view_id)
