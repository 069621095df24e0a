"""Hands and the floor: who wants to speak, and the one pupil who may.

What is here is the word of the teacher; the lock is in the media worker, which forwards nothing
without the grants that follow from it (lesson_room.grants). A pupil who left the class has neither
hand nor floor any more, whatever the rows say.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from eschool.lessons import Lessons, joined, led, side_of, thing
from eschool.lessons import LessonSide as Side
from people.facts import LessonChanged, emit
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, may, require
from people.refused import Forbidden, NotFound
from people.relations import actor_of, allowed
from storage.engine import Base, new_id

FloorKind = Literal["audio", "video"]


class LessonHands(Base):
    """One raising of a hand, until it was lowered by anybody."""

    __tablename__ = "lesson_hands"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    raised_at: Mapped[datetime]
    lowered_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ux_lesson_hands_raised",
            "lesson_id",
            "person_id",
            unique=True,
            postgresql_where=text("lowered_at IS NULL"),
        ),
    )


class LessonFloors(Base):
    """One giving of the floor; `why` it ended stands beside when."""

    __tablename__ = "lesson_floors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    kinds: Mapped[list[str]]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    why: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(
            "why IN ('withdrawn', 'returned', 'dropped', 'replaced', 'ended')", name="why"
        ),
        CheckConstraint("(until IS NULL) = (why IS NULL)", name="over"),
        CheckConstraint("cardinality(kinds) > 0", name="kinds"),
        Index(
            "ux_lesson_floors_open",
            "lesson_id",
            unique=True,
            postgresql_where=text("until IS NULL"),
        ),
    )


class Why(StrEnum):
    """Why a floor ended."""

    WITHDRAWN = "withdrawn"  # by the teacher
    RETURNED = "returned"  # by the pupil himself
    DROPPED = "dropped"  # the pupil's page is gone
    REPLACED = "replaced"  # another pupil has it, or the same one with other kinds
    ENDED = "ended"  # with the lesson


class Hand(msgspec.Struct, frozen=True):
    """A raised hand; they stand in the order of raising."""

    person: Ref
    raised_at: datetime


class Floor(msgspec.Struct, frozen=True):
    """The pupil who may speak, and whether he may be seen."""

    person: Ref
    kinds: list[FloorKind]
    since: datetime


class NewFloor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To whom the floor is given, and for which kinds of media."""

    person_id: UUID
    kinds: Annotated[list[FloorKind], msgspec.Meta(min_length=1, max_length=2)]


async def raise_hand(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> None:
    """Put the pupil's hand up; raising twice keeps the place in the queue."""
    lesson = await joined(db, actor, lesson_id, now)
    if side_of(actor, lesson, now) is Side.TEACHER:
        raise Forbidden(Act.JOIN_LESSON, thing(lesson), actor.id)
    raised = await db.scalar(
        insert(LessonHands)
        .values(id=new_id(), lesson_id=lesson.id, person_id=actor.id, raised_at=now)
        .on_conflict_do_nothing()
        .returning(LessonHands.id)
    )
    if raised is not None:
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def lower_hand(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> None:
    """Take one's own hand down."""
    lesson = await joined(db, actor, lesson_id, now)
    if actor.id is not None and await _lower(db, lesson.id, actor.id, now):
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def lower_other(
    db: AsyncSession, actor: Actor, lesson_id: UUID, person_id: UUID, now: datetime
) -> None:
    """Take a pupil's hand down, for the teacher."""
    lesson = await led(db, actor, lesson_id, now)
    if await _lower(db, lesson.id, person_id, now):
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def give_floor(
    db: AsyncSession, actor: Actor, lesson_id: UUID, new: NewFloor, now: datetime
) -> None:
    """Let one pupil of the class speak, whoever spoke before; his hand goes down.

    Giving again what he has changes nothing. Raises NotFound for who is no pupil of the class.
    """
    lesson = await led(db, actor, lesson_id, now)
    pupil = await actor_of(db, new.person_id, now)
    if not may(pupil, Act.JOIN_LESSON, thing(lesson), now):
        raise NotFound
    if side_of(pupil, lesson, now) is Side.TEACHER:
        raise NotFound
    kinds = sorted(set(new.kinds))
    row = await _open_floor(db, lesson.id)
    if row is not None and (row.person_id, row.kinds) == (new.person_id, kinds):
        return
    await _close(db, lesson.id, Why.REPLACED, now)
    db.add(LessonFloors(lesson_id=lesson.id, person_id=new.person_id, kinds=kinds, since=now))
    await db.flush()
    await _lower(db, lesson.id, new.person_id, now)
    emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def take_floor(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> None:
    """Close the floor: the teacher anybody's, a pupil his own. Nobody has it: nothing to do."""
    lesson = await joined(db, actor, lesson_id, now)
    row = await _open_floor(db, lesson.id)
    if row is None:
        return
    if row.person_id != actor.id:
        require(actor, Act.LEAD_LESSON, thing(lesson), now)
    why = Why.RETURNED if row.person_id == actor.id else Why.WITHDRAWN
    await _close(db, lesson.id, why, now)
    emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def drop(db: AsyncSession, lesson_id: UUID, person_id: UUID, now: datetime) -> None:
    """End what a person had in the room, whose page is gone for good: his floor and his hand."""
    await db.execute(select(Lessons.id).where(Lessons.id == lesson_id).with_for_update())
    changed = await _lower(db, lesson_id, person_id, now)
    row = await _open_floor(db, lesson_id)
    if row is not None and row.person_id == person_id:
        changed = await _close(db, lesson_id, Why.DROPPED, now)
    if changed:
        emit(db, LessonChanged(at=now, lesson_id=lesson_id))


async def clear(db: AsyncSession, lesson_id: UUID, now: datetime) -> None:
    """End floor and hands with the lesson."""
    await _close(db, lesson_id, Why.ENDED, now)
    await db.execute(
        update(LessonHands)
        .where(LessonHands.lesson_id == lesson_id, LessonHands.lowered_at.is_(None))
        .values(lowered_at=now)
    )


async def hands_up(db: AsyncSession, lesson_id: UUID, now: datetime) -> list[Hand]:
    """Raised hands of those who are still in the class, in the order of raising."""
    query = (
        select(LessonHands, Persons)
        .join(Lessons, Lessons.id == LessonHands.lesson_id)
        .join(Persons, Persons.id == LessonHands.person_id)
        .where(
            LessonHands.lesson_id == lesson_id,
            LessonHands.lowered_at.is_(None),
            allowed(
                Act.JOIN_LESSON,
                LessonHands.person_id,
                now,
                organisation=Lessons.organisation_id,
                about=(Lessons.id, Lessons.class_id),
            ),
        )
        .order_by(LessonHands.raised_at, LessonHands.id)
    )
    return [Hand(_ref(person), row.raised_at) for row, person in (await db.execute(query)).all()]


async def floor_now(db: AsyncSession, lesson_id: UUID, now: datetime) -> Floor | None:
    """Who has the floor, if he is still in the class."""
    query = (
        select(LessonFloors, Persons)
        .join(Lessons, Lessons.id == LessonFloors.lesson_id)
        .join(Persons, Persons.id == LessonFloors.person_id)
        .where(
            LessonFloors.lesson_id == lesson_id,
            LessonFloors.until.is_(None),
            allowed(
                Act.JOIN_LESSON,
                LessonFloors.person_id,
                now,
                organisation=Lessons.organisation_id,
                about=(Lessons.id, Lessons.class_id),
            ),
        )
    )
    found = (await db.execute(query)).one_or_none()
    if found is None:
        return None
    row, person = found
    return Floor(_ref(person), msgspec.convert(row.kinds, list[FloorKind]), row.since)


async def _open_floor(db: AsyncSession, lesson_id: UUID) -> LessonFloors | None:
    query = select(LessonFloors).where(
        LessonFloors.lesson_id == lesson_id, LessonFloors.until.is_(None)
    )
    row: LessonFloors | None = await db.scalar(query)
    return row


async def _close(db: AsyncSession, lesson_id: UUID, why: Why, now: datetime) -> bool:
    closed = await db.execute(
        update(LessonFloors)
        .where(LessonFloors.lesson_id == lesson_id, LessonFloors.until.is_(None))
        .values(until=now, why=why.value)
        .returning(LessonFloors.id)
    )
    return closed.first() is not None


async def _lower(db: AsyncSession, lesson_id: UUID, person_id: UUID, now: datetime) -> bool:
    lowered = await db.execute(
        update(LessonHands)
        .where(
            LessonHands.lesson_id == lesson_id,
            LessonHands.person_id == person_id,
            LessonHands.lowered_at.is_(None),
        )
        .values(lowered_at=now)
        .returning(LessonHands.id)
    )
    return lowered.first() is not None


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))
