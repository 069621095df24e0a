"""What the people's room takes away of a person's papers: of one who is erased, or past their time.

Files go with their names and objects a day later (people/lost_files.py). Of documents the register
stays, which anybody who verifies one is answered from; what they said, drafts, where they went and
a day later their prints go. All of it was sealed under the destroyed key but for where they went.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Executable, Select, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.document_deliveries import DocumentDeliveries
from people.document_prints import object_key
from people.documents import DRAFT, Documents, DocumentTexts, DocumentViews
from people.erasure import forgets
from people.files import Files
from people.files import object_key as file_key
from people.health_retention import dates, forgets_record
from people.held_objects import lies
from people.keepers import keeps, keeps_later
from storage.jobs import Work, enqueue, job

# A backup that runs counts on the objects of its point in time.
PRINTS_KEPT: Final = timedelta(days=1)


@keeps
def documents_kept(person_id: Any) -> Select[UUID, datetime]:
    """SQL: which organisations made a document about the person, and since when."""
    since = func.coalesce(Documents.signed_at, Documents.made_at)
    return select(Documents.organisation_id, since).where(Documents.subject_id == person_id)


@keeps_later
def files_kept(person_id: Any) -> Select[UUID, datetime]:
    """SQL: where files about the person were handed in, and when."""
    kept = select(Files.organisation_id, Files.at)
    return kept.where(Files.owner_id == person_id, Files.removed_at.is_(None))


@keeps
def documents_received(person_id: Any) -> Select[UUID | None, datetime]:
    """SQL: to which organisations documents about the person were handed, and since when."""
    of_it = DocumentDeliveries.document_id == Documents.id
    given = select(DocumentDeliveries.organisation_id, DocumentDeliveries.given_at)
    return given.join(Documents, of_it).where(
        Documents.subject_id == person_id,
        DocumentDeliveries.organisation_id.is_not(None),
        DocumentDeliveries.accepted.is_not(False),
    )


@dates
def filed(person_id: Any) -> Select[datetime]:
    """SQL: when files about the person were handed in."""
    return select(Files.at).where(Files.owner_id == person_id, Files.removed_at.is_(None))


@dates
def written(person_id: Any) -> Select[datetime]:
    """SQL: when documents that still say something were made, signed, or came to their end."""
    last = func.greatest(Documents.made_at, Documents.signed_at, Documents.ended_at)
    says = DocumentTexts.document_id == Documents.id
    return select(last).join(DocumentTexts, says).where(Documents.subject_id == person_id)


@lies
async def papers(db: AsyncSession, person_id: UUID) -> list[str]:
    """Keys of files about the person, with their small pictures, and of prints."""
    quietly = audit.WRITE_PATH
    query = select(Files.object_id, Files.preview_size).where(Files.owner_id == person_id)
    keys = []
    for object_id, preview in (await db.execute(query, execution_options=quietly)).all():
        parts = ["whole", *(["preview"] if preview is not None else [])]
        keys += [file_key(object_id, part) for part in parts]
    printed = (
        select(DocumentViews.id)
        .join(Documents, Documents.id == DocumentViews.document_id)
        .where(Documents.subject_id == person_id, DocumentViews.pdf_sha256.is_not(None))
    )
    return keys + [object_key(view_id) for view_id in (await db.scalars(printed)).all()]


@forgets
@forgets_record
async def forget(work: Work, person_id: UUID) -> None:
    """Take back every file about the person; take away what documents said and where they went."""
    theirs = select(Documents.id).where(Documents.subject_id == person_id)
    statements: tuple[Executable, ...] = (
        update(Files)
        .where(Files.owner_id == person_id)
        .values(sealed_name=b"", removed_at=func.coalesce(Files.removed_at, work.now)),
        delete(DocumentTexts).where(DocumentTexts.document_id.in_(theirs)),
        delete(DocumentDeliveries).where(DocumentDeliveries.document_id.in_(theirs)),
        delete(Documents).where(Documents.subject_id == person_id, Documents.state == DRAFT),
    )
    for statement in statements:
        quietly = statement.execution_options(synchronize_session=False, **audit.WRITE_PATH)
        await work.db.execute(quietly)
    later = work.now + PRINTS_KEPT
    await enqueue(work.db, "people.delete_prints", at=later, person=str(person_id))


@job("people.delete_prints")
async def delete_prints(work: Work, person: str) -> None:
    """Delete the prints of a person's documents that say nothing any more."""
    says = exists().where(DocumentTexts.document_id == Documents.id)
    query = (
        select(DocumentViews.id)
        .join(Documents, Documents.id == DocumentViews.document_id)
        .where(Documents.subject_id == UUID(person), ~says)
    )
    for view_id in (await work.db.scalars(query, execution_options=audit.WRITE_PATH)).all():
        await work.objects.delete(object_key(view_id))
