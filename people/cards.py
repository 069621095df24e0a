"""QR cards: how patients, parents and pupils get in. One live card a person and organisation.

The card is an address with 160 random bits behind its hash, which browsers send to nobody; the
store holds their SHA-256. On a browser that has not shown the card before the date of birth is
asked as well, where it is known; after MAX_TRIES wrong ones the card is locked, and only a new one
helps. Whoever works somewhere has no card: staff come in by password and second factor.
"""

import hashlib
import secrets
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, ForeignKey, Index, and_, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.administration import require_at
from people.audit import acted
from people.device_tokens import token_hash
from people.members import belongs, is_staff, known, member
from people.notices import notify
from people.organisations import Organisations
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing
from people.recoveries import helped
from people.refused import NotFound, OutOfRange, Refused
from people.sessions import end_sessions_opened_by
from storage.engine import Base, new_id

METHOD: Final = "card"
MAX_TRIES: Final = 5
SHEET_MOST: Final = 100  # cards made at once: a year's intake of a school in a few sheets
PAGE: Final = 50


class Cards(Base):
    """A card that was printed. `number` is on it for the eye and for asking help; no secret."""

    __tablename__ = "cards"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    number: Mapped[str] = mapped_column(unique=True)
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    issued_at: Mapped[datetime]
    issued_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    last_used_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default="0")
    locked_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ux_cards_live",
            "person_id",
            "organisation_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index(None, "organisation_id"),
    )


class CardBrowsers(Base):
    """A browser that got in with a card: there the card alone is enough."""

    __tablename__ = "card_browsers"

    browser_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    card_id: Mapped[UUID] = mapped_column(
        ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True
    )
    since: Mapped[datetime]

    __table_args__ = (Index(None, "card_id"),)


class Card(msgspec.Struct, frozen=True):
    """A card without its secret."""

    id: UUID
    number: str
    issued_at: datetime
    last_used_at: datetime | None
    locked: bool


class CardHolder(msgspec.Struct, frozen=True):
    """A person of an organisation who may have a card, and the live card there, if any."""

    person_id: UUID
    name: str
    card: Card | None


class CardHolders(msgspec.Struct, frozen=True):
    """One page of an organisation's people; `next` continues it."""

    holders: list[CardHolder]
    next: str | None


class PrintedCard(msgspec.Struct, frozen=True):
    """What is printed: the only time the secret is seen."""

    person_id: UUID
    name: str
    language: str
    number: str
    secret: str
    asks_birth_date: bool


class Sheet(msgspec.Struct, frozen=True):
    """Cards to be printed."""

    organisation_name: str
    cards: list[PrintedCard]


class NewCards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose cards are to be made."""

    person_ids: list[UUID]


class StaffHaveNoCards(Refused):
    """Whoever works somewhere comes in by password and second factor."""

    status = 409
    code = "staff_have_no_cards"


class CardLocked(Refused):
    """The date of birth was wrong too often: only a new card helps."""

    status = 403
    code = "card_locked"


class CardLockedNow(CardLocked):
    """The same answer to the last wrong date: its transaction holds the lock."""

    keeps_writes = True


class BirthDateNeeded(Refused):
    """This browser has not shown the card before; `params["tries_left"]`."""

    status = 403
    code = "birth_date_needed"


class WrongBirthDate(Refused):
    """Not the date of birth. It counts, so its transaction must commit; `params["tries_left"]`."""

    status = 403
    code = "wrong_birth_date"
    keeps_writes = True


async def issue_card(
    db: AsyncSession, actor: Actor, person_id: UUID, organisation_id: UUID, now: datetime
) -> tuple[Card, str]:
    """Make a card for a person of the organisation; the one before it ends, and what it opened.

    Raises NotFound for people of elsewhere, StaffHaveNoCards for those who work somewhere.
    """
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    person = await member(db, person_id, organisation_id, now)
    if await db.scalar(select(is_staff(person.id, now))):
        raise StaffHaveNoCards
    before = _live() & (Cards.person_id == person.id) & (Cards.organisation_id == organisation_id)
    await _revoke(db, actor.id, before, now)
    secret = new_secret()
    row = Cards(
        id=new_id(),
        person_id=person.id,
        organisation_id=organisation_id,
        number="".join(secrets.choice("0123456789") for _ in range(12)),
        secret_sha256=token_hash(secret),
        issued_at=now,
        issued_by=actor.id,
        tries=0,
    )
    db.add(row)
    await db.flush()
    await helped(db, person.id, organisation_id, now)
    await _kept(db, actor.id, "card_issued", row, now)
    await notify(db, person.id, "card_issued", {"number": row.number}, now, about=row.id)
    return _card(row), secret


async def issue_sheet(
    db: AsyncSession, actor: Actor, organisation_id: UUID, new: NewCards, now: datetime
) -> Sheet:
    """Make cards for several people at once: all of them, or none."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    wanted = list(dict.fromkeys(new.person_ids))
    if not 1 <= len(wanted) <= SHEET_MOST:
        raise OutOfRange("person_ids", 1, SHEET_MOST)
    cards = []
    for person_id in wanted:
        card, secret = await issue_card(db, actor, person_id, organisation_id, now)
        person = await db.get_one(Persons, person_id)
        cards.append(
            PrintedCard(
                person_id=person_id,
                name=full_name(person.given_name, person.family_name),
                language=person.language,
                number=card.number,
                secret=secret,
                asks_birth_date=person.born_on is not None,
            )
        )
    organisation = await db.get_one(Organisations, organisation_id)
    return Sheet(organisation.name, cards)


async def revoke_card(
    db: AsyncSession, actor: Actor, organisation_id: UUID, card_id: UUID, now: datetime
) -> None:
    """End a card of the organisation, and at once every session it opened."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    which = _live() & (Cards.id == card_id) & (Cards.organisation_id == organisation_id)
    if not await _revoke(db, actor.id, which, now):
        raise NotFound


async def revoke_cards_of(
    db: AsyncSession,
    person_id: UUID,
    now: datetime,
    *,
    by: UUID | None = None,
    at: UUID | None = None,
) -> None:
    """End every card of a person, or those of one organisation, and every session they opened."""
    which = _live() & (Cards.person_id == person_id)
    await _revoke(db, by, which if at is None else which & (Cards.organisation_id == at), now)


async def list_holders(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    now: datetime,
    *,
    search: str = "",
    after: UUID | None = None,
) -> CardHolders:
    """Give the organisation's people who may have a card, by family name, a page at a time."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    here = and_(_live(), Cards.person_id == Persons.id, Cards.organisation_id == organisation_id)
    order = (func.lower(Persons.family_name), func.lower(Persons.given_name), Persons.id)
    query = (
        select(Persons, Cards)
        .outerjoin(Cards, here)
        .where(belongs(Persons.id, organisation_id, now), ~is_staff(Persons.id, now))
        .order_by(*order)
        .limit(PAGE + 1)
    )
    for word in search.split()[:5]:
        either = (Persons.family_name, Persons.given_name)
        query = query.where(or_(*(name.icontains(word, autoescape=True) for name in either)))
    if after is not None:
        own = select(Persons).where(Persons.id == after, known(Persons.id, organisation_id, now))
        last = await db.scalar(own)
        if last is None:
            raise NotFound
        names = (func.lower(last.family_name), func.lower(last.given_name), last.id)
        query = query.where(func.row(*order) > func.row(*names))
    rows = (await db.execute(query)).all()
    shown = [
        CardHolder(person.id, full_name(person.given_name, person.family_name), _or_none(card))
        for person, card in rows[:PAGE]
    ]
    return CardHolders(shown, str(shown[-1].person_id) if len(rows) > PAGE else None)


def new_secret() -> str:
    """160 random bits, in letters that need no escape behind a hash."""
    return secrets.token_urlsafe(20)


async def shown_card(db: AsyncSession, secret: str) -> Cards | None:
    """Give the live card of a secret and hold it: two tries at once stand in line."""
    query = select(Cards).where(Cards.secret_sha256 == token_hash(secret), _live())
    return await db.scalar(query.with_for_update(), execution_options={"populate_existing": True})


async def card_fits(db: AsyncSession, person_id: UUID, secret: str) -> bool:
    """Say whether this is a card by which the person gets in: a proof again of who sits here."""
    card = await shown_card(db, secret)
    return card is not None and card.person_id == person_id and card.locked_at is None


async def has_card(db: AsyncSession, person_id: UUID) -> bool:
    """Say whether the person gets in by a card, wherever it was made."""
    query = select(Cards.id).where(Cards.person_id == person_id, _live(), Cards.locked_at.is_(None))
    return await db.scalar(query.limit(1)) is not None


async def browser_knows(db: AsyncSession, card: Cards, browser: str | None) -> bool:
    """Say whether the card has been let in on the browser that shows this token."""
    if browser is None:
        return False
    return await db.get(CardBrowsers, (_browser_hash(browser), card.id)) is not None


async def judge_card(
    db: AsyncSession, card: Cards, born_on: date | None, now: datetime, *, known: bool
) -> None:
    """Let a card pass, or raise CardLocked, BirthDateNeeded or WrongBirthDate (which counts)."""
    if card.locked_at is not None:
        raise CardLocked
    person = await db.get_one(Persons, card.person_id)
    if known or person.born_on is None:
        return
    if born_on is None:
        raise BirthDateNeeded(tries_left=MAX_TRIES - card.tries)
    if born_on == person.born_on:
        card.tries = 0
        return
    card.tries += 1
    if card.tries < MAX_TRIES:
        await db.flush()
        raise WrongBirthDate(tries_left=MAX_TRIES - card.tries)
    card.locked_at = now
    await _kept(db, None, "card_locked", card, now)
    await notify(db, person.id, "card_locked", {"number": card.number}, now, about=card.id)
    raise CardLockedNow


async def used_card(db: AsyncSession, card: Cards, browser: str | None, now: datetime) -> str:
    """Note that the card let somebody in; give the token by which its browser is known."""
    card.last_used_at = now
    seen = select(CardBrowsers.card_id).where(
        CardBrowsers.browser_sha256 == _browser_hash(browser or "")
    )
    if browser is None or await db.scalar(seen.limit(1)) is None:
        # Only tokens of our own making: one that somebody chose could be guessed.
        browser = secrets.token_urlsafe(32)
    row = insert(CardBrowsers).values(
        browser_sha256=_browser_hash(browser), card_id=card.id, since=now
    )
    await db.execute(row.on_conflict_do_nothing())
    return browser


def _live() -> ColumnElement[bool]:
    return Cards.revoked_at.is_(None)


async def _revoke(
    db: AsyncSession, by: UUID | None, which: ColumnElement[bool], now: datetime
) -> bool:
    rows = (await db.scalars(select(Cards).where(which).with_for_update())).all()
    for row in rows:
        row.revoked_at = now
        await end_sessions_opened_by(db, row.id, now)
        await _kept(db, by, "card_revoked", row, now)
    await db.flush()
    return bool(rows)


async def _kept(db: AsyncSession, by: UUID | None, act: str, card: Cards, now: datetime) -> None:
    thing = Thing(subject_id=card.person_id, organisation_id=card.organisation_id, about=(card.id,))
    await acted(db, by, act, thing, now)


def _card(row: Cards) -> Card:
    locked = row.locked_at is not None
    return Card(row.id, row.number, row.issued_at, row.last_used_at, locked)


def _or_none(row: Cards | None) -> Card | None:
    return None if row is None else _card(row)


def _browser_hash(token: str) -> bytes:
    return hashlib.sha256(b"browser\0" + token.encode()).digest()
