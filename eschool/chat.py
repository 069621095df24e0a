"""The lesson's chat: what a pupil writes waits, unless the teacher opened the chat.

The first decision about a message stands: nobody's screen has to take back what it showed.
"""

import math
from datetime import datetime, timedelta
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
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from eschool.lessons import (
    Lessons,
    LessonSide,
    LessonState,
    joined,
    led,
    require_running,
    seen,
    side_of,
    state_of,
)
from people.facts import ChatSaid, LessonChanged, emit
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor
from people.refused import NotFound, OutOfRange, Refused
from people.relations import allowed
from storage.engine import Base, new_id

MAX_SIGNS = 500
# Far more than a class writes in a lesson; the newest are shown.
MAX_SHOWN = 500
# Nobody writes faster by hand; each message costs every page of the lesson something.
MAX_AT_ONCE = 10
AT_ONCE = timedelta(seconds=10)


class LessonMessages(Base):
    """One message. `client_id` is the page's own, so that sending twice is writing once."""

    __tablename__ = "lesson_messages"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    client_id: Mapped[UUID]
    text: Mapped[str]
    state: Mapped[str]
    sent_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('held', 'approved', 'refused')", name="state"),
        Index(None, "lesson_id", "person_id", "client_id", unique=True),
        Index(None, "lesson_id", "sent_at"),
    )


class MessageState(StrEnum):
    """held → approved or refused."""

    HELD = "held"
    APPROVED = "approved"
    REFUSED = "refused"


class ChatMessage(msgspec.Struct, frozen=True):
    """A message as one person sees it."""

    id: UUID
    person: Ref
    text: str
    sent_at: datetime
    state: MessageState
    mine: bool


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text, and an id the page gives it: a repeat with the same id is the same message."""

    text: str
    client_id: UUID


class TooManyMessages(Refused):
    """One person writes faster than anybody reads; `params["retry_after_s"]` says when again."""

    status = 429
    code = "too_many_messages"


async def write(
    db: AsyncSession, actor: Actor, lesson_id: UUID, new: NewMessage, now: datetime
) -> ChatMessage:
    """Say something to the class.

    Raises OutOfRange for an empty or too long text, TooManyMessages for too many at once.
    """
    lesson = await joined(db, actor, lesson_id, now)
    words = new.text.strip()
    if not 1 <= len(words) <= MAX_SIGNS:
        raise OutOfRange("text", 1, MAX_SIGNS)
    same = (LessonMessages.person_id == actor.id) & (LessonMessages.client_id == new.client_id)
    await _require_calm(db, lesson.id, actor, same, now)
    waits = lesson.chat_held and side_of(actor, lesson, now) is LessonSide.PUPIL
    written = await db.scalar(
        insert(LessonMessages)
        .values(
            id=new_id(),
            lesson_id=lesson.id,
            person_id=actor.id,
            client_id=new.client_id,
            text=words,
            state=(MessageState.HELD if waits else MessageState.APPROVED).value,
            sent_at=now,
        )
        .on_conflict_do_nothing()
        .returning(LessonMessages.id)
    )
    if written is not None and actor.id is not None:
        emit(
            db,
            ChatSaid(at=now, lesson_id=lesson.id, message_id=written, person_id=actor.id),
        )
    return await _one(db, actor, lesson, same, now)


async def approve(
    db: AsyncSession, actor: Actor, lesson_id: UUID, message_id: UUID, now: datetime
) -> ChatMessage:
    """Show a held message to the class; the answer says what the first decision was."""
    return await _decide(db, actor, lesson_id, (message_id, MessageState.APPROVED), now)


async def refuse(
    db: AsyncSession, actor: Actor, lesson_id: UUID, message_id: UUID, now: datetime
) -> ChatMessage:
    """Keep a held message from the class; the answer says what the first decision was."""
    return await _decide(db, actor, lesson_id, (message_id, MessageState.REFUSED), now)


async def hold(db: AsyncSession, actor: Actor, lesson_id: UUID, held: bool, now: datetime) -> None:
    """Let what pupils write wait from now on, or not; also before the lesson is opened."""
    lesson = await led(db, actor, lesson_id, now, running=False)
    if state_of(lesson, now) is LessonState.ENDED:
        require_running(lesson, now)
    if lesson.chat_held is not held:
        lesson.chat_held = held
        await db.flush()
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def messages(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime
) -> list[ChatMessage]:
    """Messages in order of time: the teacher sees all, a pupil the approved ones and his own."""
    lesson = await seen(db, actor, lesson_id, now)
    newest = (
        _visible(actor, lesson.id, now)
        .order_by(LessonMessages.sent_at.desc(), LessonMessages.id.desc())
        .limit(MAX_SHOWN)
    )
    rows = (await db.execute(newest)).all()
    return [_message(row, person, actor) for row, person in reversed(rows)]


async def message_for(
    db: AsyncSession, actor: Actor, lesson_id: UUID, message_id: UUID, now: datetime
) -> ChatMessage | None:
    """Give one message as the actor may see it, or None."""
    if actor.id is None:
        return None
    query = _visible(actor, lesson_id, now).where(LessonMessages.id == message_id)
    found = (await db.execute(query)).one_or_none()
    return None if found is None else _message(*found, actor)


async def _decide(
    db: AsyncSession,
    actor: Actor,
    lesson_id: UUID,
    decision: tuple[UUID, MessageState],
    now: datetime,
) -> ChatMessage:
    message_id, state = decision
    lesson = await led(db, actor, lesson_id, now)
    author_id = await db.scalar(
        update(LessonMessages)
        .where(
            LessonMessages.id == message_id,
            LessonMessages.lesson_id == lesson.id,
            LessonMessages.state == MessageState.HELD.value,
        )
        .values(state=state.value, decided_by=actor.id, decided_at=now)
        .returning(LessonMessages.person_id)
    )
    if author_id is not None:
        emit(
            db,
            ChatSaid(at=now, lesson_id=lesson.id, message_id=message_id, person_id=author_id),
        )
    return await _one(db, actor, lesson, LessonMessages.id == message_id, now)


async def _require_calm(
    db: AsyncSession, lesson_id: UUID, actor: Actor, same: ColumnElement[bool], now: datetime
) -> None:
    """Refuse what comes too fast. The lesson's lock is held, so nobody counts beside us."""
    newest = (
        select(LessonMessages.sent_at, same.label("again"))
        .where(
            LessonMessages.lesson_id == lesson_id,
            LessonMessages.person_id == actor.id,
            LessonMessages.sent_at > now - AT_ONCE,
        )
        .order_by(LessonMessages.sent_at.desc())
        .limit(MAX_AT_ONCE)
    )
    lately = (await db.execute(newest)).all()
    if len(lately) == MAX_AT_ONCE and not any(again for _, again in lately):
        oldest = lately[-1][0]
        raise TooManyMessages(retry_after_s=math.ceil((oldest + AT_ONCE - now).total_seconds()))


def _visible(actor: Actor, lesson_id: UUID, now: datetime) -> Select[LessonMessages, Persons]:
    """Messages of a lesson this person may see, with who wrote them."""
    if actor.id is None:
        raise NotFound
    lesson: dict[str, Any] = {
        "organisation": Lessons.organisation_id,
        "about": (Lessons.id, Lessons.class_id),
    }
    return (
        select(LessonMessages, Persons)
        .join(Lessons, Lessons.id == LessonMessages.lesson_id)
        .join(Persons, Persons.id == LessonMessages.person_id)
        .where(
            LessonMessages.lesson_id == lesson_id,
            allowed(Act.JOIN_LESSON, actor.id, now, **lesson),
            or_(
                LessonMessages.state == MessageState.APPROVED.value,
                LessonMessages.person_id == actor.id,
                allowed(Act.LEAD_LESSON, actor.id, now, **lesson),
            ),
        )
    )


async def _one(
    db: AsyncSession, actor: Actor, lesson: Lessons, which: ColumnElement[bool], now: datetime
) -> ChatMessage:
    query = _visible(actor, lesson.id, now).where(which)
    found = (await db.execute(query, execution_options={"populate_existing": True})).one_or_none()
    if found is None:
        raise NotFound
    return _message(*found, actor)


def _message(row: LessonMessages, person: Persons, actor: Actor) -> ChatMessage:
    return ChatMessage(
        id=row.id,
        person=Ref(person.id, full_name(person.given_name, person.family_name)),
        text=row.text,
        sent_at=row.sent_at,
        state=MessageState(row.state),
        mine=row.person_id == actor.id,
    )
