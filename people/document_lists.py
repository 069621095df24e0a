"""Documents in lists: of a visit, and of a person."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from people.documents import (
    PAGE,
    Documents,
    DocumentState,
    DocumentSummary,
    summaries,
    visible_to,
)
from people.policy import Act, Actor, Thing, may
from people.refused import NotFound

# Of one visit.
_SHOWN = 200


class DocumentPage(msgspec.Struct, frozen=True):
    """Some documents, newest first, and whether there are older ones."""

    documents: list[DocumentSummary]
    more: bool


async def of_visit(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> list[DocumentSummary]:
    """Give the documents of a visit that the actor may see, the newest first."""
    if actor.id is None:
        return []
    return await summaries(
        db, visible_to(actor.id, now).where(Documents.about_id == visit_id), _SHOWN
    )


async def of_person(
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    now: datetime,
    *,
    before: UUID | None = None,
) -> DocumentPage:
    """Give one's own signed documents, or a child's, newest first; those older than `before`.

    Raises NotFound.
    """
    if actor.id is None or not may(actor, Act.SEE_DOCUMENT, Thing(subject_id=person_id), now):
        raise NotFound
    query = visible_to(actor.id, now).where(
        Documents.subject_id == person_id, Documents.state != DocumentState.DRAFT
    )
    if before is not None:
        last = await db.scalar(query.where(Documents.id == before))
        if last is None:
            raise NotFound
        query = query.where(tuple_(Documents.made_at, Documents.id) < (last.made_at, last.id))
    found = await summaries(db, query, PAGE + 1)
    return DocumentPage(found[:PAGE], more=len(found) > PAGE)
