"""What a school was given, at its office: the form made for schools, and whether it was taken."""

from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people.administration import require_at
from people.document_contents import Audience, DocumentKind
from people.document_deliveries import DocumentDeliveries
from people.documents import PAGE, Documents, DocumentState, DocumentViews, person_ref, untrusted
from people.organisation_keys import doubted_keys
from people.organisations import Organisations, Ref
from people.persons import Persons
from people.policy import Act, Actor
from people.refused import NotFound

_issuer = aliased(Organisations)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A document as the school's desk sees it in its list."""

    id: UUID
    kind: DocumentKind
    number: str
    signed_on: date
    state: DocumentState
    person: Ref
    issuer: Ref
    printed: bool
    given_at: datetime
    answered_at: datetime | None
    accepted: bool | None
    untrusted: bool = False  # as in DocumentSummary


class ReceivedPage(msgspec.Struct, frozen=True):
    """Some of what a school was given, newest first, and whether there is older."""

    documents: list[Received]
    more: bool


async def received(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    now: datetime,
    *,
    before: UUID | None = None,
) -> ReceivedPage:
    """Give what a school was given, newest first; what was given before the delivery `before`.

    Raises NotFound, Forbidden.
    """
    require_at(actor, Act.RECEIVE_DOCUMENTS, organisation_id, now)
    here = DocumentDeliveries.organisation_id == organisation_id
    query = (
        select(DocumentDeliveries, Documents, DocumentViews, Persons, _issuer)
        .join(Documents, Documents.id == DocumentDeliveries.document_id)
        .join(
            DocumentViews,
            (DocumentViews.document_id == Documents.id)
            & (DocumentViews.audience == Audience.SCHOOL.value),
        )
        .join(Persons, Persons.id == Documents.subject_id)
        .join(_issuer, _issuer.id == Documents.organisation_id)
        .where(here)
        .order_by(DocumentDeliveries.given_at.desc(), DocumentDeliveries.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        one = select(DocumentDeliveries).where(DocumentDeliveries.id == before, here)
        last = await db.scalar(one)
        if last is None:
            raise NotFound
        place = tuple_(DocumentDeliveries.given_at, DocumentDeliveries.id)
        query = query.where(place < (last.given_at, last.id))
    doubted = await doubted_keys(db)
    found = [
        Received(
            id=one.id,
            kind=DocumentKind(row.kind),
            number=view.number,
            signed_on=view.signed_on,
            state=DocumentState(row.state),
            person=person_ref(person),
            issuer=Ref(issuer.id, issuer.name),
            printed=view.pdf_sha256 is not None,
            given_at=one.given_at,
            answered_at=one.answered_at,
            accepted=one.accepted,
            untrusted=untrusted(doubted, row, view.line),
        )
        for one, row, view, person, issuer in (await db.execute(query)).all()
    ]
    return ReceivedPage(found[:PAGE], more=len(found) > PAGE)
