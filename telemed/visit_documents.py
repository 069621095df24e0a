"""Documents of a visit: its doctor drafts them, both sides find them there."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from people import document_drafts, document_lists, documents
from people.document_contents import Content
from people.documents import Document, DocumentSummary
from people.policy import Actor
from telemed.visits import seen, thing


class NewDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a draft begins with."""

    content: Content


async def draft(
    db: AsyncSession, actor: Actor, visit_id: UUID, new: NewDocument, now: datetime
) -> Document:
    """Begin a document of a visit. Raises NotFound, Forbidden, BadDocument."""
    visit = await seen(db, actor, visit_id, now)
    made = await document_drafts.draft(db, actor, thing(visit), new.content, now)
    return await documents.get_document(db, actor, made, now)


async def list_documents(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> list[DocumentSummary]:
    """Give a visit's documents: drafts to the doctor only. Raises NotFound."""
    visit = await seen(db, actor, visit_id, now)
    return await document_lists.of_visit(db, actor, visit.id, now)
