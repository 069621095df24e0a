"""Handing documents over: to the person on signing, to a school by the person's or guardian's word.

A school is given the body made for schools and nothing else. Whoever was given a document says that
it arrived, or refuses it with a reason, and is told when it is revoked.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, Select, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.consent_asked import needed_by
from people.consents import ConsentNotYours, hand_of
from people.document_contents import DocumentKind
from people.documents import (
    DocumentNotSigned,
    Documents,
    DocumentState,
    open_key,
    put_text,
    seen,
    texts_of,
    thing,
)
from people.households import guardians_of
from people.notices import notify
from people.organisations import OrganisationKind, Organisations, Ref
from people.policy import Act, Actor, Thing, may, require
from people.policy import Kind as Tie
from people.refused import NotFound, OutOfRange, Refused
from people.relations import Relations, allowed
from storage.engine import Base, new_id

REASON_MIN, REASON_MAX = 5, 1000
# Of a large school's office; the others see it in the list.
_TOLD = 20


class DocumentDeliveries(Base):
    """One handing over; without an organisation it is to the person."""

    __tablename__ = "document_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id"))
    organisation_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisations.id"))
    given_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    given_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    accepted: Mapped[bool | None]

    __table_args__ = (
        Index(
            "ux_document_deliveries_once",
            "document_id",
            "organisation_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "organisation_id", "given_at"),
    )


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A handing over as both sides see it; without `to` it is to the person."""

    id: UUID
    to: Ref | None
    given_at: datetime
    answered_at: datetime | None
    accepted: bool | None
    reason: str
    mine: bool  # to answer


class DeliveryDesk(msgspec.Struct, frozen=True):
    """Where a document went, and schools that it can be given to yet."""

    deliveries: list[Delivery]
    schools: list[Ref]


class NewDelivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To which school."""

    organisation_id: UUID


class DeliveryAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That it arrived, or why it is not taken."""

    accepted: bool
    reason: Annotated[str, msgspec.Meta(max_length=REASON_MAX)] = ""


class DeliveryAnswered(Refused):
    """The first answer stands."""

    status = 409
    code = "delivery_answered"


class NoSchoolView(Refused):
    """Only a certificate has a form that a school is given."""

    status = 409
    code = "no_school_view"


async def give_to_person(
    db: AsyncSession,
    row: Documents,
    given_by: UUID,
    organisation: str,
    now: datetime,
    *,
    instead_of: Documents | None,
) -> None:
    """Give a signed document to its person, and tell whoever may see the person's health.

    `instead_of` is the version that holds no longer since.
    """
    await _give(db, row, None, given_by, now)
    code = "document_signed"
    params: dict[str, str | int] = {"organisation": organisation, "number": row.number or ""}
    if instead_of is not None:
        code, params = "document_superseded", _replaced(instead_of, row)
    for told in await _keepers(db, row, now):
        await notify(db, told, code, params, now, about=row.id)


async def give_to_school(
    db: AsyncSession, actor: Actor, document_id: UUID, new: NewDelivery, now: datetime
) -> DeliveryDesk:
    """Give a certificate to a school of its person; giving twice is giving.

    Raises NotFound, Forbidden, ConsentNotYours, DocumentNotSigned, NoSchoolView.
    """
    row = await seen(db, actor, document_id, now, lock=True)
    await _require_word(db, actor, row, now)
    if row.state != DocumentState.SIGNED:
        raise DocumentNotSigned(row.state)
    if row.kind != DocumentKind.CERTIFICATE:
        raise NoSchoolView
    if new.organisation_id not in {school.id for school in await _schools(db, row, now)}:
        raise NotFound
    if actor.id is not None and await _give(db, row, new.organisation_id, actor.id, now):
        details = {"school": str(new.organisation_id)}
        await audit.acted(db, actor.id, Act.GIVE_DOCUMENT, thing(row), now, details=details)
        for told in await _desk(db, new.organisation_id, now):
            params = {"number": row.number or ""}
            await notify(
                db, told, "school_document_received", params, now, about=new.organisation_id
            )
    return await deliveries(db, actor, document_id, now)


async def deliveries(
    db: AsyncSession, actor: Actor, document_id: UUID, now: datetime
) -> DeliveryDesk:
    """Say where a document went. Raises NotFound."""
    row = await seen(db, actor, document_id, now)
    keeper = may(actor, Act.GIVE_DOCUMENT, thing(row), now)
    query = (
        select(DocumentDeliveries, Organisations)
        .outerjoin(Organisations, Organisations.id == DocumentDeliveries.organisation_id)
        .where(DocumentDeliveries.document_id == row.id)
        .order_by(DocumentDeliveries.given_at, DocumentDeliveries.id)
    )
    rows = (await db.execute(query)).all()
    texts = {}
    if any(one.accepted is False for one, _ in rows):
        texts = await texts_of(db, actor, row, Act.SEE_DOCUMENT, now)
    there = {one.organisation_id for one, _ in rows}
    holds = row.state == DocumentState.SIGNED and row.kind == DocumentKind.CERTIFICATE
    schools = await _schools(db, row, now) if keeper and holds else []
    return DeliveryDesk(
        [
            Delivery(
                id=one.id,
                to=Ref(place.id, place.name) if place is not None else None,
                given_at=one.given_at,
                answered_at=one.answered_at,
                accepted=one.accepted,
                reason=texts.get(_part(one.id), b"").decode(),
                mine=keeper and place is None and one.answered_at is None,
            )
            for one, place in rows
        ],
        [school for school in schools if school.id not in there],
    )


async def answer(
    db: AsyncSession, actor: Actor, delivery_id: UUID, said: DeliveryAnswer, now: datetime
) -> None:
    """Say that a document arrived, or refuse it with a reason; the doctor is told of a refusal.

    Raises NotFound, Forbidden, DeliveryAnswered, OutOfRange.
    """
    one, row = await _delivery(db, actor, delivery_id, now, lock=True)
    if one.organisation_id is None:
        require(actor, Act.GIVE_DOCUMENT, thing(row), now)
    reason = said.reason.strip()
    if one.answered_at is not None:
        if (one.answered_by, one.accepted) == (actor.id, said.accepted):
            return
        raise DeliveryAnswered
    if not said.accepted and not REASON_MIN <= len(reason) <= REASON_MAX:
        raise OutOfRange("reason", REASON_MIN, REASON_MAX)
    one.answered_at, one.answered_by, one.accepted = now, actor.id, said.accepted
    await db.flush()
    if not said.accepted:
        key = await open_key(db, row, now)
        await put_text(db, key, row.id, _part(one.id), reason.encode())
        params = {"number": row.number or ""}
        for told in {row.signed_by or one.given_by, one.given_by} - {actor.id}:
            await notify(db, told, "document_refused", params, now, about=row.id)
    word = "document_acknowledged" if said.accepted else "document_refused"
    await audit.acted(db, actor.id, word, _at(one, row), now)


async def to_school(
    db: AsyncSession, actor: Actor, delivery_id: UUID, now: datetime
) -> tuple[Documents, UUID]:
    """Give the document that went to a school, and which school that is. Raises NotFound."""
    one, row = await _delivery(db, actor, delivery_id, now)
    if one.organisation_id is None:
        raise NotFound
    return row, one.organisation_id


async def tell_receivers(db: AsyncSession, row: Documents, now: datetime) -> None:
    """Tell everybody who was given a document that it was revoked."""
    params: dict[str, str | int] = {"number": row.number or ""}
    for person_id in await _keepers(db, row, now):
        await notify(db, person_id, "document_revoked", params, now, about=row.id)
    await _tell_schools(db, row, "school_document_revoked", params, now)


async def tell_schools(db: AsyncSession, row: Documents, newer: Documents, now: datetime) -> None:
    """Tell every school that was given a document that it was replaced.

    The newer one it is not given: that is the person's to say.
    """
    await _tell_schools(db, row, "school_document_superseded", _replaced(row, newer), now)


async def _tell_schools(
    db: AsyncSession, row: Documents, code: str, params: dict[str, str | int], now: datetime
) -> None:
    query = select(DocumentDeliveries.organisation_id).where(
        DocumentDeliveries.document_id == row.id, DocumentDeliveries.organisation_id.is_not(None)
    )
    for organisation_id in filter(None, (await db.scalars(query)).all()):
        for person_id in await _desk(db, organisation_id, now):
            # Its page is the office's list: the document itself is not the school's to open.
            await notify(db, person_id, code, params, now, about=organisation_id)


def _replaced(row: Documents, newer: Documents) -> dict[str, str | int]:
    return {"number": row.number or "", "by": newer.number or ""}


def visible_to(person_id: UUID, now: datetime) -> Select[DocumentDeliveries, Documents]:
    """Deliveries to this person, to a child they speak for, or to the desk they sit at."""
    given: dict[str, Any] = {
        "subject": Documents.subject_id,
        "organisation": Documents.organisation_id,
        "about": (Documents.about_id,),
    }
    at_desk: Any = {"organisation": DocumentDeliveries.organisation_id}
    own = DocumentDeliveries.organisation_id.is_(None)
    return (
        select(DocumentDeliveries, Documents)
        .join(Documents, Documents.id == DocumentDeliveries.document_id)
        .where(
            or_(
                own & allowed(Act.SEE_DOCUMENT, person_id, now, **given),
                allowed(Act.RECEIVE_DOCUMENTS, person_id, now, **at_desk),
            )
        )
    )


async def _delivery(
    db: AsyncSession, actor: Actor, delivery_id: UUID, now: datetime, *, lock: bool = False
) -> tuple[DocumentDeliveries, Documents]:
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now).where(DocumentDeliveries.id == delivery_id)
    if lock:
        query = query.with_for_update(of=DocumentDeliveries)
    found = (await db.execute(query.execution_options(populate_existing=True))).one_or_none()
    if found is None:
        raise NotFound
    one, row = found
    return one, row


async def _give(
    db: AsyncSession, row: Documents, organisation_id: UUID | None, by: UUID, now: datetime
) -> bool:
    new = insert(DocumentDeliveries).values(
        id=new_id(),
        document_id=row.id,
        organisation_id=organisation_id,
        given_by=by,
        given_at=now,
    )
    written = new.on_conflict_do_nothing().returning(DocumentDeliveries.id)
    return await db.scalar(written) is not None


async def _require_word(db: AsyncSession, actor: Actor, row: Documents, now: datetime) -> None:
    """Refuse who may not hand this person's papers on: a child too young for it too."""
    require(actor, Act.GIVE_DOCUMENT, thing(row), now)
    hands = await needed_by(db, row.subject_id, OrganisationKind.CLINIC, now)
    if actor.id is None or hand_of(row.subject_id, actor.id) not in hands:
        raise ConsentNotYours


async def _keepers(db: AsyncSession, row: Documents, now: datetime) -> list[UUID]:
    return [row.subject_id, *await guardians_of(db, row.subject_id, now, Tie.CHILD_HEALTH)]


async def _schools(db: AsyncSession, row: Documents, now: datetime) -> list[Ref]:
    """Schools in which the person is a pupil."""
    query = (
        select(Organisations.id, Organisations.name)
        .join(Relations, Relations.organisation_id == Organisations.id)
        .where(
            Relations.actor_id == row.subject_id,
            Relations.kind == Tie.CLASS.value,
            Relations.live(now),
            Organisations.kind == OrganisationKind.SCHOOL.value,
        )
        .group_by(Organisations.id, Organisations.name)
        .order_by(Organisations.name)
    )
    return [Ref(*one) for one in (await db.execute(query)).all()]


async def _desk(db: AsyncSession, organisation_id: UUID, now: datetime) -> list[UUID]:
    """Who receives documents in an organisation."""
    query = (
        select(Relations.actor_id)
        .where(
            Relations.organisation_id == organisation_id,
            Relations.kind.in_([Tie.ADMINISTRATION.value, Tie.CLERKSHIP.value]),
            Relations.live(now),
        )
        .group_by(Relations.actor_id)
        .order_by(Relations.actor_id)
        .limit(_TOLD)
    )
    return list(await db.scalars(query))


def _at(one: DocumentDeliveries, row: Documents) -> Thing:
    return (
        thing(row)
        if one.organisation_id is None
        else msgspec.structs.replace(thing(row), organisation_id=one.organisation_id)
    )


def _part(delivery_id: UUID) -> str:
    return f"answer:{delivery_id}"
