"""A visit with its doctor's hand at the documents: draft, sign and print in one call."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.document_contents import Certificate, Content
from people.document_prints import print_document
from people.document_signing import SignDocument, sign
from people.documents import Document, DocumentViews
from people.sessions import Caller
from storage.engine import new_id
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed.visit_documents import NewDocument, draft
from tests.telemed.clinic_house import House

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
    db: AsyncSession, house: House, settings: Settings, now: datetime, content: Content = ILL
) -> Document:
    """A signed document of the house's visit."""
    doctor = await caller(db, house, house.doctor, now)
    made = await draft(db, doctor.actor, house.visit, NewDocument(content), now)
    asked = SignDocument(made.changes)
    return await sign(db, doctor, made.id, asked, now, home=settings.home)


async def print_all(
    db: AsyncSession, objects: Objects, settings: Settings, document: Document, now: datetime
) -> None:
    """Do the jobs that signing asked for."""
    views = select(DocumentViews.id).where(DocumentViews.document_id == document.id)
    for view_id in (await db.scalars(views)).all():
        await print_document(Work(db, objects, settings, now), view_id)
