"""Texts of consents: each version stands as it was published, in three languages at once.

The house has a text for every purpose; an organisation that publishes its own counts on from it.
What was agreed to keeps its text; people are asked again only where the meaning changed.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.administration import require_at
from people.consent_rules import PURPOSES, Purpose
from people.organisations import OrganisationKind, Organisations
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing
from people.refused import NotFound, Refused
from storage.engine import Base, new_id

Words = Annotated[str, msgspec.Meta(min_length=20, max_length=20_000)]


class ConsentTexts(Base):
    """One version of a text. Without an organisation it is the house's own."""

    __tablename__ = "consent_texts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisations.id"))
    purpose: Mapped[str]
    version: Mapped[int]
    ru: Mapped[str]
    tt: Mapped[str]
    en: Mapped[str]
    # The meaning is another than before: what was agreed to earlier holds no more.
    asks_again: Mapped[bool]
    published_at: Mapped[datetime]
    published_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (
        CheckConstraint("version > 0", name="version"),
        Index(
            "ux_consent_texts_version",
            "organisation_id",
            "purpose",
            "version",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )


class ConsentTextChanged(Refused):
    """Another version was published since this one was read; `params["version"]` is the new one."""

    status = 409
    code = "consent_text_changed"

    def __init__(self, version: int) -> None:
        super().__init__(version=version)


class ConsentText(msgspec.Struct, frozen=True):
    """A text as people read it."""

    id: UUID
    purpose: Purpose
    version: int
    ru: str
    tt: str
    en: str
    published_at: datetime


class PublishedText(ConsentText, frozen=True, kw_only=True):
    """A text as its administrator sees it."""

    asks_again: bool
    published_by: str | None
    current: bool


class NewText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next version, written over version `after`."""

    purpose: Purpose
    after: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    ru: Words
    tt: Words
    en: Words
    asks_again: bool


async def list_texts(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[PublishedText]:
    """Give every version of what this organisation asks for, the newest of each purpose first."""
    require_at(actor, Act.MANAGE_CONSENT_TEXTS, organisation_id, now)
    kind = await _kind(db, organisation_id)
    query = (
        select(ConsentTexts, Persons)
        .outerjoin(Persons, Persons.id == ConsentTexts.published_by)
        .where(
            or_(
                ConsentTexts.organisation_id == organisation_id,
                ConsentTexts.organisation_id.is_(None),
            ),
            ConsentTexts.purpose.in_(_asked(kind)),
        )
        .order_by(ConsentTexts.version.desc())
    )
    rows = (await db.execute(query)).all()
    newest: dict[str, int] = {}
    for row, _ in rows:
        newest.setdefault(row.purpose, row.version)
    order = {purpose: n for n, purpose in enumerate(_asked(kind))}
    shown = [_published(row, by, current=newest[row.purpose] == row.version) for row, by in rows]
    return sorted(shown, key=lambda text: (order[text.purpose], -text.version))


async def publish(
    db: AsyncSession, actor: Actor, organisation_id: UUID, new: NewText, now: datetime
) -> PublishedText:
    """Publish the next version of a text. Raises ConsentTextChanged when somebody was quicker."""
    require_at(actor, Act.MANAGE_CONSENT_TEXTS, organisation_id, now)
    if new.purpose not in _asked(await _kind(db, organisation_id)):
        raise NotFound
    before = (await current_texts(db, [organisation_id]))[organisation_id, new.purpose]
    if before.version != new.after:
        raise ConsentTextChanged(before.version)
    row = {
        "id": new_id(),
        "organisation_id": organisation_id,
        "purpose": new.purpose.value,
        "version": new.after + 1,
        "ru": new.ru,
        "tt": new.tt,
        "en": new.en,
        "asks_again": new.asks_again,
        "published_at": now,
        "published_by": actor.id,
    }
    put = insert(ConsentTexts).values(row).on_conflict_do_nothing().returning(ConsentTexts)
    published = await db.scalar(put)
    if published is None:
        raise ConsentTextChanged(new.after + 1)
    await audit.acted(
        db,
        actor.id,
        Act.MANAGE_CONSENT_TEXTS,
        Thing(organisation_id=organisation_id, about=(published.id,)),
        now,
        details={"purpose": new.purpose.value, "version": str(published.version)},
    )
    by = await db.get(Persons, actor.id)
    return _published(published, by, current=True)


async def current_texts(
    db: AsyncSession, organisation_ids: Collection[UUID]
) -> dict[tuple[UUID, Purpose], ConsentTexts]:
    """Give the text each organisation asks with, for every purpose there is."""
    query = select(ConsentTexts).order_by(ConsentTexts.version)
    own = ConsentTexts.organisation_id.in_(organisation_ids)
    rows = (await db.scalars(query.where(or_(own, ConsentTexts.organisation_id.is_(None))))).all()
    house = [row for row in rows if row.organisation_id is None]
    found: dict[tuple[UUID, Purpose], ConsentTexts] = {}
    for organisation_id in organisation_ids:
        own_rows = [row for row in rows if row.organisation_id == organisation_id]
        # In order of versions: the last one of a purpose stays.
        for row in (*house, *own_rows):
            found[organisation_id, Purpose(row.purpose)] = row
    return found


def shown(row: ConsentTexts) -> ConsentText:
    """Give the text as people read it."""
    return ConsentText(
        id=row.id,
        purpose=Purpose(row.purpose),
        version=row.version,
        ru=row.ru,
        tt=row.tt,
        en=row.en,
        published_at=row.published_at,
    )


async def _kind(db: AsyncSession, organisation_id: UUID) -> OrganisationKind:
    row = await db.get(Organisations, organisation_id)
    if row is None:
        raise NotFound
    return OrganisationKind(row.kind)


def _asked(kind: OrganisationKind) -> tuple[Purpose, ...]:
    """What has a text of the organisation's own: what it asks for, and sharing with a clinic."""
    sharing = (Purpose.SHARE_PROFILE,) if kind is OrganisationKind.CLINIC else ()
    return (*PURPOSES[kind], *sharing)


def _published(row: ConsentTexts, by: Persons | None, *, current: bool) -> PublishedText:
    text = shown(row)
    return PublishedText(
        **msgspec.structs.asdict(text),
        asks_again=row.asks_again,
        published_by=None if by is None else full_name(by.given_name, by.family_name),
        current=current,
    )
