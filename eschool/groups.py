"""A class divided into groups for some minutes: who sits with whom, and where the teacher is.

What is here is the teacher's word. Each group is a room of its own (`room_of`), whose grants follow
from these rows; the time ends by the clock, without anybody's doing. Nothing of it is recorded.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from eschool import hands
from eschool.lessons import Lessons, LessonSide, led, side_of, thing
from people import audit
from people.facts import LessonChanged, emit
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, may
from people.refused import NotFound, Refused
from people.relations import actor_of, allowed
from storage.engine import Base, new_id

# With the teacher nine cameras: what a phone can show at once.
MOST_IN_GROUP = 8
MOST_GROUPS = 20
MOST_MINUTES = 60
# So much of what is over is looked at, to close rooms a worker may still hold.
REMEMBERED = timedelta(hours=2)


class LessonGroupings(Base):
    """One dividing of a class; `why` it ended stands beside when, unless its time just passed."""

    __tablename__ = "lesson_groupings"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    since: Mapped[datetime]
    ends_at: Mapped[datetime]
    groups: Mapped[int]
    visited: Mapped[int | None]  # the group the teacher is in
    until: Mapped[datetime | None]
    why: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("why IN ('called_back', 'passed', 'ended')", name="why"),
        CheckConstraint("(until IS NULL) = (why IS NULL)", name="over"),
        CheckConstraint("ends_at > since", name="times"),
        Index(
            "ux_lesson_groupings_open",
            "lesson_id",
            unique=True,
            postgresql_where=text("until IS NULL"),
        ),
    )


class LessonGroupSeats(Base):
    """Who sits in which group of a dividing."""

    __tablename__ = "lesson_group_seats"

    grouping_id: Mapped[UUID] = mapped_column(ForeignKey("lesson_groupings.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    number: Mapped[int]


class Why(StrEnum):
    """Why a dividing ended."""

    CALLED_BACK = "called_back"
    PASSED = "passed"  # its time, as was found at the next dividing
    ENDED = "ended"  # with the lesson


class LessonNotDivided(Refused):
    """There are no groups now."""

    status = 409
    code = "lesson_not_divided"


class BadGroups(Refused):
    """Somebody is named twice, or nobody at all."""

    status = 422
    code = "bad_groups"


class Group(msgspec.Struct, frozen=True):
    """One group; its members in order of names."""

    number: int
    members: list[Ref]


class GroupsNow(msgspec.Struct, frozen=True):
    """The groups while they are on; `visited`: the number of the one the teacher is in."""

    id: UUID
    since: datetime
    ends_at: datetime
    visited: int | None
    groups: list[Group]


Members = Annotated[list[UUID], msgspec.Meta(max_length=MOST_IN_GROUP)]


class NewGroups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long, and who sits together."""

    minutes: Annotated[int, msgspec.Meta(ge=1, le=MOST_MINUTES)]
    groups: Annotated[list[Members], msgspec.Meta(min_length=1, max_length=MOST_GROUPS)]


class NewPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The group the teacher goes to; null: back to the class."""

    number: Annotated[int, msgspec.Meta(ge=1, le=MOST_GROUPS)] | None


def room_of(grouping_id: UUID, number: int) -> UUID:
    """The id of a group's room: the same for as long as the dividing lasts, and nobody else's."""
    return uuid5(grouping_id, str(number))


async def divide(
    db: AsyncSession, actor: Actor, lesson_id: UUID, new: NewGroups, now: datetime
) -> None:
    """Seat pupils in groups; divided again, who stays in his group notices nothing.

    The floor ends. Whoever is in no group stays in the class. Raises NotFound for who is no pupil
    of the class, BadGroups for who is named twice, or when nobody is.
    """
    lesson = await led(db, actor, lesson_id, now)
    people = [*chain.from_iterable(new.groups)]
    if not people or len(set(people)) < len(people):
        raise BadGroups
    await _require_pupils(db, lesson, people, now)
    row = await _open(db, lesson.id)
    if row is not None and row.ends_at <= now:
        await _close(db, lesson.id, row.ends_at, Why.PASSED)
        row = None
    if row is None:
        row = LessonGroupings(id=new_id(), lesson_id=lesson.id, since=now, groups=0)
        db.add(row)
    row.ends_at = now + timedelta(minutes=new.minutes)
    row.groups = len(new.groups)
    if row.visited is not None and row.visited > row.groups:
        row.visited = None
    await db.flush()
    await db.execute(delete(LessonGroupSeats).where(LessonGroupSeats.grouping_id == row.id))
    for number, members in enumerate(new.groups, start=1):
        for person_id in members:
            db.add(LessonGroupSeats(grouping_id=row.id, person_id=person_id, number=number))
    await db.flush()
    if await hands.floor_now(db, lesson.id, now) is not None:
        await hands.take_floor(db, actor, lesson.id, now)
    details = {"groups": str(row.groups), "minutes": str(new.minutes)}
    await audit.acted(db, actor.id, "lesson_divided", thing(lesson), now, details=details)
    emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def call_back(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> None:
    """Bring everybody back to the class. Nobody is away: nothing to do."""
    lesson = await led(db, actor, lesson_id, now)
    if await _close(db, lesson.id, now, Why.CALLED_BACK):
        await audit.acted(db, actor.id, "lesson_called_back", thing(lesson), now)
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def go_to(
    db: AsyncSession, actor: Actor, lesson_id: UUID, number: int | None, now: datetime
) -> None:
    """Let the teacher into a group, or back to the class.

    Raises LessonNotDivided, and NotFound for a group that there is not.
    """
    lesson = await led(db, actor, lesson_id, now)
    row = await _open(db, lesson.id)
    if row is None or row.ends_at <= now:
        raise LessonNotDivided
    if number is not None and number > row.groups:
        raise NotFound
    if row.visited != number:
        row.visited = number
        await db.flush()
        details = {"group": str(number)} if number is not None else {}
        await audit.acted(db, actor.id, "group_visited", thing(lesson), now, details=details)
        emit(db, LessonChanged(at=now, lesson_id=lesson.id))


async def end(db: AsyncSession, lesson_id: UUID, now: datetime) -> None:
    """End the groups with the lesson."""
    await _close(db, lesson_id, now, Why.ENDED)


async def groups_now(db: AsyncSession, lesson_id: UUID, now: datetime) -> GroupsNow | None:
    """The groups, with those who are still in the class; None when there are none now."""
    row = await _open(db, lesson_id)
    if row is None or row.ends_at <= now:
        return None
    query = (
        select(LessonGroupSeats.number, Persons)
        .join(Persons, Persons.id == LessonGroupSeats.person_id)
        .join(Lessons, Lessons.id == lesson_id)
        .where(
            LessonGroupSeats.grouping_id == row.id,
            allowed(
                Act.JOIN_LESSON,
                LessonGroupSeats.person_id,
                now,
                organisation=Lessons.organisation_id,
                about=(Lessons.id, Lessons.class_id),
            ),
        )
        .order_by(Persons.family_name, Persons.given_name, Persons.id)
    )
    members: dict[int, list[Ref]] = {number: [] for number in range(1, row.groups + 1)}
    for number, person in (await db.execute(query)).all():
        ref = Ref(person.id, full_name(person.given_name, person.family_name))
        members[number].append(ref)
    groups = [Group(number, refs) for number, refs in members.items()]
    return GroupsNow(row.id, row.since, row.ends_at, row.visited, groups)


async def rooms_over(db: AsyncSession, lesson_id: UUID, now: datetime) -> list[UUID]:
    """Rooms of groups that were lately, and are no more."""
    query = select(LessonGroupings).where(
        LessonGroupings.lesson_id == lesson_id,
        LessonGroupings.ends_at > now - REMEMBERED,
        LessonGroupings.until.is_not(None) | (LessonGroupings.ends_at <= now),
    )
    over = (await db.scalars(query)).all()
    return [room_of(row.id, number) for row in over for number in range(1, row.groups + 1)]


async def _require_pupils(
    db: AsyncSession, lesson: Lessons, people: Sequence[UUID], now: datetime
) -> None:
    for person_id in people:
        pupil = await actor_of(db, person_id, now)
        if not may(pupil, Act.JOIN_LESSON, thing(lesson), now):
            raise NotFound
        if side_of(pupil, lesson, now) is LessonSide.TEACHER:
            raise NotFound


async def _open(db: AsyncSession, lesson_id: UUID) -> LessonGroupings | None:
    query = select(LessonGroupings).where(
        LessonGroupings.lesson_id == lesson_id, LessonGroupings.until.is_(None)
    )
    query = query.execution_options(populate_existing=True)
    row: LessonGroupings | None = await db.scalar(query)
    return row


async def _close(db: AsyncSession, lesson_id: UUID, until: datetime, why: Why) -> bool:
    closed = await db.execute(
        update(LessonGroupings)
        .where(LessonGroupings.lesson_id == lesson_id, LessonGroupings.until.is_(None))
        .values(until=until, why=why.value)
        .returning(LessonGroupings.id)
    )
    return closed.first() is not None
