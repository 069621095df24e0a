"""The register of an organisation: what was signed there, by number.

The list says neither whose a document is nor what it says. Whose it is, is shown of one document
by its number, to revoke it: that look leaves a row in the audit.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.document_contents import DocumentKind
from people.documents import (
    PAGE,
    Documents,
    DocumentState,
    DocumentSummary,
    person_ref,
    summary,
    thing,
)
from people.notices import notify
from people.organisations import Ref
from people.persons import Persons
from people.policy import Act, Actor
from people.refused import NotFound


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
        select(Documents, Persons)
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
        )
        for row, signer in (await db.execute(query)).all()
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
    db: AsyncSession, organisation_id: UUID, since: datetime, until: datetime, now: datetime
) -> int:
    """Tell whoever signed in this time, both ends included, that it is to be signed anew.

    Gives how many documents that are; a revoked one holds no longer anyway.
    """
    query = (
        select(Documents.signed_by, func.count())
        .where(
            Documents.organisation_id == organisation_id,
            Documents.signed_at >= since,
            Documents.signed_at <= until,
            Documents.state == DocumentState.SIGNED,
        )
        .group_by(Documents.signed_by)
        .order_by(Documents.signed_by)
    )
    total = 0
    for person_id, count in (await db.execute(query)).all():
        total += count
        if person_id is not None:
            params = {"count": count}
            await notify(db, person_id, "documents_untrusted", params, now, about=organisation_id)
    return total
