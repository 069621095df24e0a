"""What the people's room takes away of an erased person's papers, when the person is gone.

Files go with their names and objects a day later (people/lost_files.py). Of documents the register
stays, which anybody who verifies one is answered from; what they said, drafts, where they went and
a day later their prints go. All of it was sealed under the destroyed key but for where they went.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, delete, exists, func, select, update

from people import audit
from people.document_deliveries import DocumentDeliveries
from people.document_prints import object_key
from people.documents import DRAFT, Documents, DocumentTexts, DocumentViews
from people.erasure import Erasures, forgets, keeps_elsewhere
from people.files import Files
from storage.jobs import Work, enqueue, job

# A backup that runs counts on the objects of its point in time.
PRINTS_KEPT: Final = timedelta(days=1)


@keeps_elsewhere
def documents_elsewhere(person_id: UUID, organisation_id: UUID) -> ColumnElement[bool]:
    """SQL: another organisation made a document about the person."""
    return exists().where(
        Documents.subject_id == person_id, Documents.organisation_id != organisation_id
    )


@forgets
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
    """Delete the prints of an erased person's documents, which nobody can open any more."""
    if await work.db.get(Erasures, UUID(person)) is None:
        return  # nobody was erased: nothing may be taken
    query = select(DocumentViews.id).join(Documents, Documents.id == DocumentViews.document_id)
    for view_id in (await work.db.scalars(query.where(Documents.subject_id == UUID(person)))).all():
        await work.objects.delete(object_key(view_id))
