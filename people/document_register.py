"""The register of an organisation: what was signed there, by number.

The list says neither whose a document is nor what it says. Whose it is, is shown of one document
by its number, to revoke it: that look leaves a row in the audit.
"""

from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.document_contents import DocumentKind
from people.documents import (
    PAGE,
    Documents,
    DocumentState,
    DocumentSummary,
    DocumentViews,
    line_of,
    person_ref,
    summary,
    thing,
    untrusted,
)
from people.notices import notify
from people.organisation_keys import doubted_keys
from people.organisations import Ref
from people.persons import Persons
from people.policy import Act, Actor
from people.refused import NotFound
from storage.signing import key_of_line


class IssuedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the register."""

    id: UUID
    number: str
    kind: DocumentKind
    state: DocumentState
    version: int
    signer: Ref | None
    signed_at: datetime
    ended_at: datetime | None
    untrusted: bool = False  # as in DocumentSummary


class IssuedPage(msgspec.Struct, frozen=True):
    """Some lines of the register, newest first, and whether there are older ones."""

    documents: list[IssuedDocument]
    more: bool


async def register(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    now: datetime,
    *,
    before: UUID | None = None,
) -> IssuedPage:
    """Give what was signed in an organisation, newest first; what is older than `before`.

    Raises NotFound, Forbidden.
    """
    require_at(actor, Act.REVOKE_DOCUMENT, organisation_id, now)
    signed = Documents.organisation_id == organisation_id, Documents.signed_at.is_not(None)
    query = (
        select(Documents, Persons, DocumentViews.line)
        .outerjoin(DocumentViews, line_of(Documents))
        .outerjoin(Persons, Persons.id == Documents.signed_by)
        .where(*signed)
        .order_by(Documents.signed_at.desc(), Documents.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        last = await db.scalar(select(Documents).where(Documents.id == before, *signed))
        if last is None:
            raise NotFound
        query = query.where(tuple_(Documents.signed_at, Documents.id) < (last.signed_at, last.id))
    doubted = await doubted_keys(db)
    found = [
        IssuedDocument(
            id=row.id,
            number=row.number or "",
            kind=DocumentKind(row.kind),
            state=DocumentState(row.state),
            version=row.version,
            signer=person_ref(signer) if signer is not None else None,
            signed_at=row.signed_at,
            ended_at=row.ended_at,
            untrusted=untrusted(doubted, row, line),
        )
        for row, signer, line in (await db.execute(query)).all()
        if row.signed_at is not None
    ]
    return IssuedPage(found[:PAGE], more=len(found) > PAGE)


async def issued(
    db: AsyncSession, actor: Actor, organisation_id: UUID, number: str, now: datetime
) -> list[DocumentSummary]:
    """Find a signed document by its number, to revoke it; the look leaves a row in the audit.

    Raises NotFound, Forbidden.
    """
    require_at(actor, Act.REVOKE_DOCUMENT, organisation_id, now)
    query = select(Documents).where(
        Documents.organisation_id == organisation_id, Documents.number == number
    )
    row = await db.scalar(query)
    if row is None or actor.id is None:
        return []
    await audit.acted(db, actor.id, Act.REVOKE_DOCUMENT, thing(row), now)
    return [await summary(db, row)]


async def tell_signers(
    db: AsyncSession, organisation_id: UUID, key: str, since: datetime, now: datetime
) -> int:
    """Tell whoever signed with this key since then that it is to be signed anew.

    Gives how many documents that are; a revoked or superseded one holds no longer anyway.
    """
    query = (
        select(Documents.signed_by, DocumentViews.line)
        .join(DocumentViews, line_of(Documents))
        .where(
            Documents.organisation_id == organisation_id,
            Documents.signed_at >= since,
            Documents.state == DocumentState.SIGNED,
        )
    )
    theirs = Counter(
        person_id for person_id, line in await db.execute(query) if key_of_line(line) == key
    )
    for person_id in sorted(filter(None, theirs)):
        params = {"count": theirs[person_id]}
        await notify(db, person_id, "documents_untrusted", params, now, about=organisation_id)
    return theirs.total()
