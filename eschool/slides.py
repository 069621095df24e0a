"""Slides: a PDF's pages as pictures, and which of them the class looked at when.

The pictures are rendered elsewhere (eschool/pdf_pages.py). Objects first, row second: a deck in
the database always has all its pages in the object store.
"""

import asyncio
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from eschool.lessons import LessonNotRunning, Lessons, LessonState, led, seen, state_of, thing
from eschool.pdf_pages import MAX_PAGES, Rendered
from eschool.takes import LessonTakes, watchable, watchable_lesson
from people.facts import SlideTurned, emit
from people.policy import Act, Actor, require
from people.refused import NotFound, OutOfRange, Refused
from people.relations import allowed
from storage.engine import Base, new_id
from storage.objects import Objects, ObjectsError

MAX_NAME = 200
MEDIA_TYPE = "image/webp"
PAGES = "slides/"  # where all pages lie in the object store
_PUTS_AT_ONCE = 4


class NoSlides(Refused):
    """The lesson has no slides yet."""

    status = 404
    code = "no_slides"


class LessonDecks(Base):
    """One PDF of a lesson; the newest is the one shown. `texts`: what is written on each page."""

    __tablename__ = "lesson_decks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    name: Mapped[str]
    pages: Mapped[int]
    added_at: Mapped[datetime]
    texts: Mapped[list[str]]

    __table_args__ = (
        CheckConstraint("pages > 0 AND pages = cardinality(texts)", name="pages"),
        Index(None, "lesson_id", "added_at"),
    )


class LessonTurns(Base):
    """From `at` on the class sees this page, until the next row."""

    __tablename__ = "lesson_turns"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    deck_id: Mapped[UUID] = mapped_column(ForeignKey("lesson_decks.id"))
    page: Mapped[int]
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("page > 0", name="page"),
        Index(None, "lesson_id", "at"),
    )


class Deck(msgspec.Struct, frozen=True):
    """The slides of a lesson; page n's text is `texts[n - 1]`."""

    id: UUID
    name: str
    pages: int
    texts: list[str]


class SlideNow(msgspec.Struct, frozen=True):
    """The page everybody sees."""

    deck_id: UUID
    page: int
    pages: int


def page_key(deck_id: UUID, page: int) -> str:
    """Key of a page's picture in the object store."""
    return f"{PAGES}{deck_id}/{page:03d}.webp"


async def require_lead(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> None:
    """Refuse whoever may not show slides, before a byte of them is taken in."""
    lesson = await seen(db, actor, lesson_id, now)
    require(actor, Act.LEAD_LESSON, thing(lesson), now)
    _require_not_ended(lesson, now)


async def add_deck(  # noqa: PLR0917 - two stores, who, where, what and when
    db: AsyncSession,
    objects: Objects,
    actor: Actor,
    lesson_id: UUID,
    name: str,
    rendered: Rendered,
    now: datetime,
) -> Deck:
    """Store the pages and show the first one; refused or failed, nothing of them stays.

    The objects go before the first statement: a fresh `db` holds no connection meanwhile.
    """
    deck_id = new_id()
    try:
        await _put_pages(objects, deck_id, rendered.pages)
        lesson = await led(db, actor, lesson_id, now, running=False)
        _require_not_ended(lesson, now)
        deck = LessonDecks(
            id=deck_id,
            lesson_id=lesson.id,
            name=_plain(name),
            pages=len(rendered.pages),
            texts=rendered.texts,
            added_at=now,
        )
        db.add(deck)
        await db.flush()
        query = select(func.max(LessonTurns.at)).where(LessonTurns.lesson_id == lesson.id)
        _turn(db, lesson.id, deck_id, 1, _after(await db.scalar(query), now))
        await db.flush()
    except BaseException:
        await _remove_pages(objects, deck_id, len(rendered.pages))
        raise
    return _deck(deck)


async def deck(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> Deck | None:
    """Give the lesson's slides to who may sit in it or watch it. Raises NotFound.

    Who may only watch is given the newest of which a page was recorded, and those pages' texts.
    """
    if actor.id is None:
        raise NotFound
    sits = await db.scalar(
        select(_sits(actor.id, now)).where(Lessons.id == lesson_id, _shown(actor.id, now))
    )
    if sits is None:
        raise NotFound
    if sits:
        row = await _newest(db, lesson_id)
        return None if row is None else _deck(row)
    pages = await _recorded(db, actor.id, lesson_id, now)
    row = await _newest(db, lesson_id, LessonDecks.id.in_({deck_id for deck_id, _ in pages}))
    if row is None:
        return None
    written = [text if (row.id, n) in pages else "" for n, text in enumerate(row.texts, start=1)]
    return Deck(row.id, row.name, row.pages, written)


async def turn(
    db: AsyncSession, actor: Actor, lesson_id: UUID, page: int, now: datetime
) -> SlideNow:
    """Show another page of the newest deck. Raises NoSlides, and OutOfRange beyond its pages."""
    lesson = await led(db, actor, lesson_id, now, running=False)
    _require_not_ended(lesson, now)
    deck = (await db.execute(_deck_and_turn(lesson.id))).one_or_none()
    if deck is None:
        raise NoSlides
    if not 1 <= page <= deck.pages:
        raise OutOfRange("page", 1, deck.pages)
    if (deck.turned_to, deck.turned_page) != (deck.id, page):
        _turn(db, lesson.id, deck.id, page, _after(deck.turned_at, now))
    return SlideNow(deck.id, page, deck.pages)


async def slide_now(db: AsyncSession, lesson_id: UUID) -> SlideNow | None:
    """Say which page is shown; for a room whose door is already passed."""
    query = (
        select(LessonTurns.deck_id, LessonTurns.page, LessonDecks.pages)
        .join(LessonDecks, LessonDecks.id == LessonTurns.deck_id)
        .where(LessonTurns.lesson_id == lesson_id)
        .order_by(LessonTurns.at.desc(), LessonTurns.id.desc())
        .limit(1)
    )
    found = (await db.execute(query)).one_or_none()
    return None if found is None else SlideNow(*found)


async def require_page(
    db: AsyncSession, actor: Actor, deck_id: UUID, page: int, now: datetime
) -> str:
    """Give the key of a page's picture to who may sit in the lesson or watch that page."""
    if actor.id is None:
        raise NotFound
    query = (
        select(LessonDecks.lesson_id, _sits(actor.id, now))
        .join(Lessons, Lessons.id == LessonDecks.lesson_id)
        .where(
            LessonDecks.id == deck_id,
            LessonDecks.pages >= page,
            _shown(actor.id, now),
        )
    )
    found = (await db.execute(query)).one_or_none() if 1 <= page <= MAX_PAGES else None
    if found is None:
        raise NotFound
    lesson_id, sits = found
    if not sits and (deck_id, page) not in await _recorded(db, actor.id, lesson_id, now):
        raise NotFound
    return page_key(deck_id, page)


async def turns(db: AsyncSession, lesson_id: UUID) -> Sequence[LessonTurns]:
    """Give every turn of a lesson in order; for the chapters of its recording."""
    query = (
        select(LessonTurns)
        .where(LessonTurns.lesson_id == lesson_id)
        .order_by(LessonTurns.at, LessonTurns.id)
    )
    return (await db.scalars(query)).all()


async def texts(db: AsyncSession, lesson_id: UUID) -> dict[UUID, list[str]]:
    """Give what is written on the pages of each deck a lesson ever had."""
    query = select(LessonDecks.id, LessonDecks.texts).where(LessonDecks.lesson_id == lesson_id)
    return {row.id: row.texts for row in (await db.execute(query)).all()}


async def _newest(
    db: AsyncSession, lesson_id: UUID, *among: ColumnElement[bool]
) -> LessonDecks | None:
    query = (
        select(LessonDecks)
        .where(LessonDecks.lesson_id == lesson_id, *among)
        .order_by(LessonDecks.added_at.desc(), LessonDecks.id.desc())
        .limit(1)
    )
    row: LessonDecks | None = await db.scalar(query)
    return row


def _deck_and_turn(lesson_id: UUID) -> Select[UUID, int, UUID, int, datetime]:
    """SQL: the newest deck and the last turn, in one question: a class waits for its answer."""
    last = (
        select(LessonTurns.deck_id, LessonTurns.page, LessonTurns.at)
        .where(LessonTurns.lesson_id == lesson_id)
        .order_by(LessonTurns.at.desc(), LessonTurns.id.desc())
        .limit(1)
        .subquery()
    )
    return (
        select(
            LessonDecks.id,
            LessonDecks.pages,
            last.c.deck_id.label("turned_to"),
            last.c.page.label("turned_page"),
            last.c.at.label("turned_at"),
        )
        .outerjoin(last, true())
        .where(LessonDecks.lesson_id == lesson_id)
        .order_by(LessonDecks.added_at.desc(), LessonDecks.id.desc())
        .limit(1)
    )


def _after(before: datetime | None, now: datetime) -> datetime:
    """Who waited for the lesson's lock comes after who had it, in time as well."""
    return now if before is None else max(now, before)


def _turn(db: AsyncSession, lesson_id: UUID, deck_id: UUID, page: int, at: datetime) -> None:
    """Write the turn; the commit sends it."""
    db.add(LessonTurns(lesson_id=lesson_id, deck_id=deck_id, page=page, at=at))
    emit(db, SlideTurned(at=at, lesson_id=lesson_id, deck_id=deck_id, page=page))


async def _recorded(
    db: AsyncSession, person_id: UUID, lesson_id: UUID, now: datetime
) -> set[tuple[UUID, int]]:
    """Pages (deck, number) the class saw while a take ran that this person may watch."""
    order = (LessonTurns.at, LessonTurns.id)
    columns = (LessonTurns.lesson_id, LessonTurns.deck_id, LessonTurns.page, LessonTurns.at)
    shown = (
        select(*columns, func.lead(LessonTurns.at).over(order_by=order).label("until"))
        .where(LessonTurns.lesson_id == lesson_id)
        .subquery()
    )
    query = (
        select(shown.c.deck_id, shown.c.page)
        .join(Lessons, Lessons.id == shown.c.lesson_id)
        .join(LessonTakes, LessonTakes.lesson_id == Lessons.id)
        .where(
            watchable(person_id, now),
            or_(LessonTakes.stopped_at.is_(None), shown.c.at < LessonTakes.stopped_at),
            or_(shown.c.until.is_(None), shown.c.until > LessonTakes.started_at),
        )
    )
    return {(deck_id, page) for deck_id, page in (await db.execute(query)).all()}


def _sits(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over lessons: this person sits in the lesson."""
    about = (Lessons.id, Lessons.class_id)
    organisation = Lessons.organisation_id
    return allowed(Act.JOIN_LESSON, person_id, now, organisation=organisation, about=about)


def _shown(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over lessons: this person sits in the lesson or may watch some of it."""
    return or_(_sits(person_id, now), watchable_lesson(person_id, now))


def _require_not_ended(lesson: Lessons, now: datetime) -> None:
    """Slides may be laid out before the lesson; afterwards they are history."""
    state = state_of(lesson, now)
    if state is LessonState.ENDED:
        raise LessonNotRunning(state)


async def _put_pages(objects: Objects, deck_id: UUID, pages: Sequence[Path]) -> None:
    """Put every page, a few at a time; returns when nothing is on its way any more.

    A put that were left alone might arrive after its page was taken back.
    """
    numbers = iter(range(1, len(pages) + 1))

    async def put() -> None:
        for page in numbers:
            picture = await asyncio.to_thread(pages[page - 1].read_bytes)
            await objects.put(page_key(deck_id, page), picture, MEDIA_TYPE)

    ended = await asyncio.gather(*(put() for _ in range(_PUTS_AT_ONCE)), return_exceptions=True)
    for failure in ended:
        if failure is not None:
            raise failure


async def _remove_pages(objects: Objects, deck_id: UUID, pages: int) -> None:
    """Take back what was put. What the store will not delete is left to eschool/lost_slides.py."""
    with anyio.CancelScope(shield=True):
        for page in range(1, pages + 1):
            try:
                await objects.delete(page_key(deck_id, page))
            except ObjectsError:
                return


def _plain(name: str) -> str:
    """A file's name as a title: one line without control characters, never empty."""
    shown = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    return " ".join(shown.split())[:MAX_NAME] or "PDF"


def _deck(row: LessonDecks) -> Deck:
    return Deck(row.id, row.name, row.pages, row.texts)
