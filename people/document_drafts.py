"""Drafts of documents: written by the doctor of the visit, read by nobody else."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.document_contents import Content, kind_of, unprintable
from people.documents import (
    DRAFT,
    BadDocument,
    Document,
    DocumentNotSigned,
    Documents,
    DocumentState,
    get_document,
    open_key,
    put_text,
    seen,
    texts_of,
    thing,
)
from people.policy import Act, Actor, Thing, require
from people.refused import FieldError, Refused
from storage.engine import new_id


class DraftChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft's new text, and how often it had been written when it was read."""

    content: Content
    changes: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class DocumentNotDraft(Refused):
    """It is signed: what is to be different stands in its next version."""

    status = 409
    code = "document_not_draft"


class DocumentChanged(Refused):
    """Somebody wrote in between: read it again; `params["changes"]` is the current count."""

    status = 409
    code = "document_changed"


async def draft(
    db: AsyncSession, actor: Actor, visit: Thing, content: Content, now: datetime
) -> UUID:
    """Begin a document of a visit. The caller has found the visit visible. Raises BadDocument."""
    require(actor, Act.WRITE_DOCUMENT, visit, now)
    document_id = new_id()
    row = Documents(
        id=document_id,
        series_id=document_id,
        version=1,
        organisation_id=visit.organisation_id,
        subject_id=visit.subject_id,
        about_id=visit.about[0],
        kind=kind_of(content).value,
        state=DRAFT,
        changes=0,
        made_by=actor.id,
        made_at=now,
    )
    db.add(row)
    await db.flush()
    await _write(db, actor, row, content, now)
    return row.id


async def change(
    db: AsyncSession, actor: Actor, document_id: UUID, new: DraftChange, now: datetime
) -> Document:
    """Write a draft anew. Raises NotFound, DocumentNotDraft, DocumentChanged, BadDocument."""
    row = await drafted(db, actor, document_id, new.changes, now)
    if kind_of(new.content) != row.kind:
        raise BadDocument((FieldError("kind", "other_kind"),))
    await _write(db, actor, row, new.content, now)
    return await get_document(db, actor, document_id, now)


async def discard(db: AsyncSession, actor: Actor, document_id: UUID, now: datetime) -> None:
    """Throw a draft away. Raises NotFound, DocumentNotDraft."""
    row = await drafted(db, actor, document_id, None, now)
    await audit.acted(db, actor.id, "document_discarded", thing(row), now)
    await db.execute(delete(Documents).where(Documents.id == row.id))


async def next_version(
    db: AsyncSession, actor: Actor, document_id: UUID, now: datetime
) -> Document:
    """Begin the next version, as a draft that says the same; the one begun already, if there is.

    Raises NotFound, Forbidden, DocumentNotSigned.
    """
    row = await seen(db, actor, document_id, now, lock=True)
    require(actor, Act.WRITE_DOCUMENT, thing(row), now)
    if row.state not in {DocumentState.SIGNED, DocumentState.REVOKED}:
        raise DocumentNotSigned(row.state)
    following = select(Documents.id).where(
        Documents.series_id == row.series_id, Documents.version > row.version
    )
    found = await db.scalar(following.order_by(Documents.version).limit(1))
    if found is None:
        content = await content_of(db, actor, row, now)
        new = Documents(
            id=new_id(),
            series_id=row.series_id,
            version=row.version + 1,
            organisation_id=row.organisation_id,
            subject_id=row.subject_id,
            about_id=row.about_id,
            kind=row.kind,
            state=DRAFT,
            changes=0,
            made_by=actor.id,
            made_at=now,
        )
        db.add(new)
        await db.flush()
        await _write(db, actor, new, content, now)
        found = new.id
    return await get_document(db, actor, found, now)


async def drafted(
    db: AsyncSession, actor: Actor, document_id: UUID, changes: int | None, now: datetime
) -> Documents:
    """Give the locked row of a draft, as it was read. Raises as `change`, and Forbidden."""
    row = await seen(db, actor, document_id, now, lock=True)
    require(actor, Act.WRITE_DOCUMENT, thing(row), now)
    if row.state != DocumentState.DRAFT:
        raise DocumentNotDraft
    if changes is not None and changes != row.changes:
        raise DocumentChanged(changes=row.changes)
    return row


async def content_of(db: AsyncSession, actor: Actor, row: Documents, now: datetime) -> Content:
    """Give what the document says, to who writes it."""
    texts = await texts_of(db, actor, row, Act.WRITE_DOCUMENT, now)
    content: Content = msgspec.json.decode(texts[DRAFT], type=Content)
    return content


async def _write(
    db: AsyncSession, actor: Actor, row: Documents, content: Content, now: datetime
) -> None:
    if errors := unprintable(content):
        raise BadDocument(errors)
    key = await open_key(db, row, now)
    await put_text(db, key, row.id, DRAFT, msgspec.json.encode(content))
    await db.execute(
        update(Documents)
        .where(Documents.id == row.id)
        .values(changes=row.changes + 1)
        .execution_options(synchronize_session="fetch")
    )
    details = {"kind": row.kind, "version": str(row.version)}
    await audit.acted(db, actor.id, "document_written", thing(row), now, details=details)
