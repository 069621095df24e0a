"""Signing, numbering and revoking documents.

A number is taken under a lock in the transaction that signs: one that is rolled back gives it
back, so that the register of an organisation and a year has no gaps.
"""

import secrets
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.ages import local_day
from people.consent_texts import ConsentTexts
from people.consents import Consents, live
from people.document_contents import (
    Audience,
    ConsentRecord,
    Content,
    said_to,
    wrong,
)
from people.document_deliveries import give_to_person, tell_receivers, tell_schools
from people.document_drafts import content_of, drafted
from people.document_outside import Outside, print_part
from people.documents import (
    BadDocument,
    Document,
    DocumentNotSigned,
    Documents,
    DocumentState,
    DocumentSummary,
    DocumentViews,
    get_document,
    open_key,
    put_text,
    seen,
    summary,
    thing,
)
from people.organisation_keys import seed_of
from people.organisations import Organisations
from people.persons import Persons, full_name
from people.policy import Act, require
from people.refused import FieldError, OutOfRange
from people.sessions import Caller
from people.step_up import require_fresh
from storage import signing
from storage.engine import Base, new_id
from storage.jobs import enqueue
from storage.pdf_outside import Asked

PRINT = "people.print_document"
REASON_MIN, REASON_MAX = 10, 1000
_CODE_BYTES = 16
# A QR code of a long name would be too fine for a bad camera.
_NAME_IN_QR = 60


class DocumentNumbers(Base):
    """The last number an organisation gave in a year of its own calendar."""

    __tablename__ = "document_numbers"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class SignDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed is the draft that was read: how often it had been written."""

    changes: Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a document holds no longer."""

    reason: str


async def sign(
    db: AsyncSession,
    caller: Caller,
    document_id: UUID,
    asked: SignDocument,
    now: datetime,
    *,
    home: Path,
    outside: Outside | None = None,
) -> Document:
    """Sign a draft with the organisation's key, number it and give it to its person.

    Its prints are signed by the service `outside`, if there is one. Raises NotFound, Forbidden,
    StepUpNeeded, DocumentNotDraft, DocumentChanged, BadDocument, SignerAway, SignatureUnfit.
    """
    row = await drafted(db, caller.actor, document_id, asked.changes, now)
    require_fresh(caller, now)
    content = await content_of(db, caller.actor, row, now)
    if errors := wrong(content):
        raise BadDocument(errors)
    async with nullcontext() if outside is None else outside.turn(row.organisation_id):
        return await _signed(db, caller, row, content, now, home=home, outside=outside)


async def _signed(
    db: AsyncSession,
    caller: Caller,
    row: Documents,
    content: Content,
    now: datetime,
    *,
    home: Path,
    outside: Outside | None,
) -> Document:
    place = await db.get_one(Organisations, row.organisation_id)
    today = local_day(now, place.timezone)
    before, codes = await _superseded(db, row, now)
    seed = await seed_of(db, home, place.id, now)
    key = await open_key(db, row, now)
    row.number = f"{today.year}-{await _next_number(db, place.id, today.year):06d}"
    row.state, row.signed_by, row.signed_at = DocumentState.SIGNED.value, caller.person_id, now
    head = await _head(db, row, place, now)
    bodies: dict[Audience, tuple[bytes, str]] = {}
    for audience, said in (await _said(db, row, content, now)).items():
        code = signing.b64(secrets.token_bytes(_CODE_BYTES))
        body = head | {
            "id": code,
            "audience": audience.value,
            "date": today.isoformat(),
            "content": said,
            "supersedes": codes.get(audience.value),
        }
        digest = signing.digest(body)
        line = {
            "c": code,
            "d": body["date"],
            "h": signing.b64(digest),
            "k": row.kind,
            "n": row.number,
            "o": place.name[:_NAME_IN_QR],
        }
        view = DocumentViews(
            id=new_id(),
            document_id=row.id,
            audience=audience.value,
            code=code,
            organisation_id=place.id,
            kind=row.kind,
            number=row.number,
            signed_on=today,
            body_sha256=digest,
            line=signing.line(seed, line),
        )
        bodies[audience] = signing.encode(signing.sign(seed, body)), view.line
        await put_text(db, key, row.id, audience.value, bodies[audience][0])
        db.add(view)
        await db.flush()
        await enqueue(db, PRINT, view_id=view.id, owners=[place.id])
    if outside is not None:
        wanted = Asked(place.id, caller.person_id, row.number)
        prints = await outside.prints(bodies, seed, place.name, wanted, now=now)
        for audience, pdf in prints.items():
            await put_text(db, key, row.id, print_part(audience), pdf)
    details = {"kind": row.kind, "version": str(row.version), "number": row.number}
    await audit.acted(db, caller.person_id, Act.WRITE_DOCUMENT, thing(row), now, details=details)
    await give_to_person(db, row, caller.person_id, place.name, now, instead_of=before)
    if before is not None:
        await tell_schools(db, before, row, now)
    return await get_document(db, caller.actor, row.id, now)


async def revoke(
    db: AsyncSession, caller: Caller, document_id: UUID, why: Revocation, now: datetime
) -> DocumentSummary:
    """Say that a signed document holds no longer, and why; whoever was given it is told.

    Its doctor does, or an administrator of the organisation, who reads nothing of it for that.
    Raises NotFound, Forbidden, StepUpNeeded, DocumentNotSigned, OutOfRange.
    """
    acts = (Act.SEE_DOCUMENT, Act.REVOKE_DOCUMENT)
    row = await seen(db, caller.actor, document_id, now, lock=True, acts=acts)
    require(caller.actor, Act.REVOKE_DOCUMENT, thing(row), now)
    require_fresh(caller, now)
    if row.state != DocumentState.SIGNED:
        raise DocumentNotSigned(row.state)
    reason = why.reason.strip()
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise OutOfRange("reason", REASON_MIN, REASON_MAX)
    await put_text(db, await open_key(db, row, now), row.id, "reason", reason.encode())
    await _end(db, row, DocumentState.REVOKED, now)
    details = {"kind": row.kind, "number": row.number or ""}
    await audit.acted(db, caller.person_id, "document_revoked", thing(row), now, details=details)
    await tell_receivers(db, row, now)
    return await summary(db, row)


async def _superseded(
    db: AsyncSession, row: Documents, now: datetime
) -> tuple[Documents | None, dict[str, str]]:
    """End the version before and give it, if it still held; and its bodies' codes by reader."""
    query = select(Documents).where(
        Documents.series_id == row.series_id, Documents.version == row.version - 1
    )
    before = await db.scalar(query.with_for_update())
    if before is None:
        return None, {}
    views = select(DocumentViews).where(DocumentViews.document_id == before.id)
    codes = {view.audience: view.code for view in await db.scalars(views)}
    if before.state != DocumentState.SIGNED:
        return None, codes
    await _end(db, before, DocumentState.SUPERSEDED, now)
    return before, codes


async def _end(db: AsyncSession, row: Documents, state: DocumentState, now: datetime) -> None:
    row.state, row.ended_at = state.value, now
    await db.flush()
    await db.execute(
        update(DocumentViews)
        .where(DocumentViews.document_id == row.id)
        .values(ended=state.value, ended_at=now)
        .execution_options(synchronize_session=False)
    )


async def _next_number(db: AsyncSession, organisation_id: UUID, year: int) -> int:
    """Take the next number; others who sign here wait until this transaction ends."""
    first = insert(DocumentNumbers).values(organisation_id=organisation_id, year=year, last=1)
    query = first.on_conflict_do_update(
        index_elements=[DocumentNumbers.organisation_id, DocumentNumbers.year],
        set_={"last": DocumentNumbers.last + 1},
    ).returning(DocumentNumbers.last)
    return (await db.scalars(query)).one()


async def _head(
    db: AsyncSession, row: Documents, place: Organisations, now: datetime
) -> dict[str, Any]:
    """What the bodies for all readers have in common."""
    person = await db.get_one(Persons, row.subject_id)
    signer = await db.get_one(Persons, row.signed_by)
    born = {"born_on": person.born_on.isoformat()} if person.born_on else {}
    return {
        "type": "yanasha-document",
        "format": 1,
        "kind": row.kind,
        "version": row.version,
        "number": row.number,
        "signed_at": now.isoformat(timespec="seconds"),
        "language": person.language,
        "organisation": {"id": str(place.id), "name": place.name},
        "person": {"name": full_name(person.given_name, person.family_name), **born},
        "signer": {"name": full_name(signer.given_name, signer.family_name)},
    }


async def _said(
    db: AsyncSession, row: Documents, content: Content, now: datetime
) -> dict[Audience, dict[str, Any]]:
    said = said_to(content)
    if isinstance(content, ConsentRecord):
        said[Audience.FULL] |= await _consent(db, row, content, now)
    return said


async def _consent(
    db: AsyncSession, row: Documents, content: ConsentRecord, now: datetime
) -> dict[str, Any]:
    """Who agreed, when, and to which words. Raises BadDocument when nobody did."""
    query = (
        select(Consents, ConsentTexts, Persons)
        .join(ConsentTexts, ConsentTexts.id == Consents.text_id)
        .join(Persons, Persons.id == Consents.given_by)
        .join(Organisations, Organisations.id == Consents.organisation_id)
        .where(
            Consents.person_id == row.subject_id,
            Consents.organisation_id == row.organisation_id,
            Consents.purpose == content.purpose.value,
            live(now),
        )
        .order_by(Consents.given_at.desc())
        .limit(1)
    )
    found = (await db.execute(query)).one_or_none()
    if found is None:
        raise BadDocument((FieldError("purpose", "consent_missing"),))
    consent, text, giver = found
    language = await db.scalar(select(Persons.language).where(Persons.id == row.subject_id))
    return {
        "version": text.version,
        "text": {"tt": text.tt, "en": text.en}.get(language or "", text.ru),
        "given_by": full_name(giver.given_name, giver.family_name),
        "given_at": consent.given_at.isoformat(timespec="seconds"),
    }
