"""Documents: a doctor's draft becomes a signed, numbered paper that anybody can verify.

    draft → signed → superseded, by the next version's signing
                   → revoked, with a reason

What a document says lies sealed under its person's key (storage/data_keys.py) and is read as health
is. The rest tells that there is one: whose, of which kind and number. people/document_drafts.py
writes, document_signing.py signs and revokes, document_deliveries.py hands over, and
document_checks.py answers who verifies.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    UniqueConstraint,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.document_contents import Audience, Content, DocumentKind
from people.organisation_keys import doubted_keys, doubtful
from people.organisations import Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing, may
from people.refused import FieldError, NotFound, Refused
from people.relations import allowed
from storage.data_keys import DataKey, KeyGone, key_of
from storage.engine import Base, new_id
from storage.signing import key_of_line

DRAFT = "draft"
PAGE = 50

_subject, _signer = aliased(Persons), aliased(Persons)


class Documents(Base):
    """One version of a document. `about_id` is the visit it comes from."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    series_id: Mapped[UUID]
    version: Mapped[int]
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    subject_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    about_id: Mapped[UUID]
    kind: Mapped[str]
    state: Mapped[str]
    changes: Mapped[int]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    made_at: Mapped[datetime]
    number: Mapped[str | None]
    signed_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    signed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('draft', 'signed', 'superseded', 'revoked')", name="state"),
        CheckConstraint("(state = 'draft') = (number IS NULL)", name="numbered"),
        UniqueConstraint("series_id", "version"),
        UniqueConstraint("organisation_id", "number"),
        Index(None, "subject_id", "made_at"),
        Index(None, "about_id"),
        Index(
            "ix_documents_register",
            "organisation_id",
            "signed_at",
            "id",
            postgresql_where=text("signed_at IS NOT NULL"),
        ),
    )


@audit.health_table
class DocumentTexts(Base):
    """What a document says, sealed: the draft, each reader's signed body, why it was revoked."""

    __tablename__ = "document_texts"

    document_id: Mapped[UUID] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[str] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]


class DocumentViews(Base):
    """The register: one signed body. No word of whose it is, so that anybody may be answered."""

    __tablename__ = "document_views"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id"))
    audience: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    kind: Mapped[str]
    number: Mapped[str]
    signed_on: Mapped[date]
    body_sha256: Mapped[bytes]
    line: Mapped[str]
    pdf_sha256: Mapped[bytes | None]  # of what the print's signature covers
    ended: Mapped[str | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("ended IN ('superseded', 'revoked')", name="ended"),
        UniqueConstraint("document_id", "audience"),
        Index(None, "pdf_sha256"),
    )


class DocumentState(StrEnum):
    """See the top of this module."""

    DRAFT = "draft"
    SIGNED = "signed"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


class DocumentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A document in a list: nothing of what it says."""

    id: UUID
    kind: DocumentKind
    state: DocumentState
    version: int
    number: str | None
    subject: Ref
    organisation: Ref
    signer: Ref | None
    made_at: datetime
    signed_at: datetime | None
    ended_at: datetime | None
    untrusted: bool = False  # somebody else may have held the key: whoever verifies it is told so


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A signed body as its reader may take it along; `line` is what its QR code holds."""

    audience: Audience
    line: str
    printed: bool


class Document(DocumentSummary, frozen=True, kw_only=True):
    """A document on its own page. `changes` counts how often the draft was written."""

    content: Content
    changes: int
    reason: str
    views: list[DocumentView]
    mine: bool  # to sign, revoke and follow with a next version; revoking is others' too
    visit_id: UUID


class DocumentNotSigned(Refused):
    """Only a signed document that still holds can be handed over, followed or revoked."""

    status = 409
    code = "document_not_signed"

    def __init__(self, state: str) -> None:
        super().__init__(state=state)


class DocumentErased(Refused):
    """Its person's key was destroyed, or its time is over: what it said is gone, its number not."""

    status = 410
    code = "document_erased"


class BadDocument(Refused):
    """Something is missing, contradicts itself or cannot be printed: the fields say what."""

    status = 422
    code = "bad_document"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(tuple(FieldError(f"content.{e.field}", e.code, e.params) for e in errors))


def thing(row: Documents) -> Thing:
    """The document as policy sees it: its visit's rights reach it."""
    return Thing(
        subject_id=row.subject_id,
        organisation_id=row.organisation_id,
        about=(row.about_id, row.id),
    )


def visible_to(
    person_id: UUID, now: datetime, acts: Sequence[Act] = (Act.SEE_DOCUMENT,)
) -> Select[Documents]:
    """Documents to which this person may do one of these; a draft is its doctor's alone."""
    columns: dict[str, Any] = {
        "subject": Documents.subject_id,
        "organisation": Documents.organisation_id,
        "about": (Documents.about_id,),
    }
    return select(Documents).where(
        or_(*(allowed(act, person_id, now, **columns) for act in acts)),
        or_(
            Documents.state != DocumentState.DRAFT,
            allowed(Act.WRITE_DOCUMENT, person_id, now, **columns),
        ),
    )


async def get_document(
    db: AsyncSession, actor: Actor, document_id: UUID, now: datetime
) -> Document:
    """Give a document with what it says. Raises NotFound."""
    row = await seen(db, actor, document_id, now)
    texts = await texts_of(db, actor, row, Act.SEE_DOCUMENT, now)
    views = await db.scalars(select(DocumentViews).where(DocumentViews.document_id == row.id))
    return Document(
        **msgspec.structs.asdict(await summary(db, row)),
        content=msgspec.json.decode(texts[DRAFT], type=Content),
        changes=row.changes,
        reason=texts.get("reason", b"").decode(),
        views=[
            DocumentView(
                audience=Audience(view.audience),
                line=view.line,
                printed=view.pdf_sha256 is not None,
            )
            for view in sorted(views, key=lambda view: view.audience)
        ],
        mine=may(actor, Act.WRITE_DOCUMENT, thing(row), now),
        visit_id=row.about_id,
    )


async def summary(db: AsyncSession, row: Documents) -> DocumentSummary:
    """Give a document as it stands in a list, to who may see or revoke it."""
    return (await summaries(db, select(Documents).where(Documents.id == row.id), 1))[0]


async def seen(
    db: AsyncSession,
    actor: Actor,
    document_id: UUID,
    now: datetime,
    *,
    lock: bool = False,
    acts: Sequence[Act] = (Act.SEE_DOCUMENT,),
) -> Documents:
    """Give the row of a document to which the actor may do one of these. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now, acts).where(Documents.id == document_id)
    if lock:
        query = query.with_for_update(of=Documents).execution_options(populate_existing=True)
    row: Documents | None = await db.scalar(query)
    if row is None:
        raise NotFound
    return row


async def texts_of(
    db: AsyncSession,
    actor: Actor,
    row: Documents,
    act: Act,
    now: datetime,
    *,
    at: UUID | None = None,
) -> dict[str, bytes]:
    """Give everything the document says, opened; `at`: read in that organisation. Audited.

    Raises Forbidden, DocumentErased.
    """
    query = select(DocumentTexts.part, DocumentTexts.sealed).where(
        DocumentTexts.document_id == row.id
    )
    where = thing(row) if at is None else msgspec.structs.replace(thing(row), organisation_id=at)
    rows = await audit.read(db, actor, query, audit.Purpose(act, where, now))
    if not rows:
        raise DocumentErased  # past the time for which it was kept
    key = await open_key(db, row, now)
    return {part: key.open(sealed, about(row.id, part)) for part, sealed in rows}


async def open_key(db: AsyncSession, row: Documents, now: datetime) -> DataKey:
    """Give the key of the document's person. Raises DocumentErased."""
    try:
        return await key_of(db, row.subject_id, now)
    except KeyGone as gone:
        raise DocumentErased from gone


async def put_text(
    db: AsyncSession, key: DataKey, document_id: UUID, part: str, plain: bytes
) -> None:
    """Seal and keep a part of what a document says, in place of what was there."""
    sealed = key.seal(plain, about(document_id, part))
    new = insert(DocumentTexts).values(document_id=document_id, part=part, sealed=sealed)
    await db.execute(
        new.on_conflict_do_update(
            index_elements=[DocumentTexts.document_id, DocumentTexts.part],
            set_={"sealed": sealed},
        )
    )


def about(document_id: UUID, part: str) -> bytes:
    """Give what a sealed text is bound to: it opens nowhere else."""
    return f"document_texts.sealed:{document_id}:{part}".encode()


async def summaries(db: AsyncSession, query: Select[Documents], most: int) -> list[DocumentSummary]:
    """Give documents as they stand in a list, newest first."""
    doubted = await doubted_keys(db)
    full = (
        query.join(_subject, _subject.id == Documents.subject_id)
        .outerjoin(_signer, _signer.id == Documents.signed_by)
        .join(Organisations, Organisations.id == Documents.organisation_id)
        .outerjoin(DocumentViews, line_of(Documents))
        .with_only_columns(Documents, _subject, _signer, Organisations, DocumentViews.line)
        .order_by(Documents.made_at.desc(), Documents.id.desc())
        .limit(most)
    )
    return [
        DocumentSummary(
            id=row.id,
            kind=DocumentKind(row.kind),
            state=DocumentState(row.state),
            version=row.version,
            number=row.number,
            subject=person_ref(subject),
            organisation=Ref(place.id, place.name),
            signer=person_ref(signer) if signer is not None else None,
            made_at=row.made_at,
            signed_at=row.signed_at,
            ended_at=row.ended_at,
            untrusted=untrusted(doubted, row, line),
        )
        for row, subject, signer, place, line in (await db.execute(full)).all()
    ]


def line_of(row: type[Documents]) -> ColumnElement[bool]:
    """Join the line that every signed document has."""
    return (DocumentViews.document_id == row.id) & (DocumentViews.audience == Audience.FULL.value)


def untrusted(doubted: Mapping[str, datetime], row: Documents, line: str | None) -> bool:
    """Whether it was signed when somebody else may have held the key; a revoked one holds never."""
    if not doubted or line is None or row.state == DocumentState.REVOKED:
        return False
    return doubtful(doubted, key_of_line(line), row.signed_at)


def person_ref(person: Persons) -> Ref:
    """The person by name, as lists name somebody."""
    return Ref(person.id, full_name(person.given_name, person.family_name))
