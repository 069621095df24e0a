"""Classes and lessons: who teaches what to whom, and when.

Scheduling a lesson gives the teacher a right to it; the roster gives a pupil a right to the class.
A lesson runs from the teacher's opening to the teacher's end; one that nobody ended, or nobody
opened, is over OVERTIME after its time all the same.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.facts import LessonScheduled, emit
from people.organisations import Organisations, Ref, on_local_day
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Right, Thing, may, require
from people.refused import NotFound, Refused
from people.relations import allowed, grant
from storage.engine import Base, new_id

# As for visits: a forgotten lesson must not broadcast for ever.
OVERTIME = timedelta(hours=12)


class Classes(Base):
    """A class of a school."""

    __tablename__ = "classes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str]

    __table_args__ = (Index(None, "organisation_id", "name", unique=True),)


class Lessons(Base):
    """A lesson in the timetable."""

    __tablename__ = "lessons"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    class_id: Mapped[UUID] = mapped_column(ForeignKey("classes.id"))
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    title: Mapped[str]
    subject: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # What pupils write waits for the teacher's word.
    chat_held: Mapped[bool] = mapped_column(server_default="true")

    __table_args__ = (
        CheckConstraint("ended_at IS NULL OR opened_at IS NOT NULL", name="ended_after_opening"),
        Index(None, "class_id", "starts_at"),
        Index(None, "teacher_id", "starts_at"),
    )


class LessonSide(StrEnum):
    """On which side of the desk."""

    TEACHER = "teacher"
    PUPIL = "pupil"


class LessonState(StrEnum):
    """planned → running → ended; by the teacher's word, at last by the clock."""

    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"


class LessonNotRunning(Refused):
    """The act needs a running lesson; `params["state"]` says what it is instead."""

    status = 409
    code = "lesson_not_running"

    def __init__(self, state: LessonState) -> None:
        super().__init__(state=state.value)


class LessonSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson in somebody's day."""

    id: UUID
    title: str
    subject: str
    class_name: str
    starts_at: datetime
    ends_at: datetime
    my_side: LessonSide


class Lesson(LessonSummary, frozen=True, kw_only=True):
    """A lesson on its own page."""

    teacher: Ref
    organisation: Ref
    state: LessonState


class NewLesson(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson to be put into the timetable."""

    organisation_id: UUID
    class_id: UUID
    teacher_id: UUID
    title: str
    subject: str
    starts_at: datetime
    ends_at: datetime
    id: UUID = msgspec.field(default_factory=new_id)


def visible_to(person_id: UUID, now: datetime) -> Select[Lessons, str, Organisations, Persons]:
    """Lessons this person may see, with class, school and teacher."""
    return (
        select(Lessons, Classes.name, Organisations, Persons)
        .join(Classes, Classes.id == Lessons.class_id)
        .join(Organisations, Organisations.id == Lessons.organisation_id)
        .join(Persons, Persons.id == Lessons.teacher_id)
        .where(
            allowed(
                Act.SEE_LESSON,
                person_id,
                now,
                organisation=Lessons.organisation_id,
                about=(Lessons.id, Lessons.class_id),
            )
        )
    )


def thing(lesson: Lessons) -> Thing:
    """The lesson as policy sees it: rights may be about it or about its class."""
    return Thing(organisation_id=lesson.organisation_id, about=(lesson.id, lesson.class_id))


async def add_class(
    db: AsyncSession, actor: Actor, organisation_id: UUID, name: str, now: datetime
) -> UUID:
    """Make a class; the same name in the same school is the same class."""
    require(actor, Act.SCHEDULE_LESSON, Thing(organisation_id=organisation_id), now)
    same = select(Classes.id).where(
        Classes.organisation_id == organisation_id, Classes.name == name
    )
    found = await db.scalar(same)
    if found is not None:
        return found
    row = Classes(id=new_id(), organisation_id=organisation_id, name=name)
    db.add(row)
    await db.flush()
    return row.id


async def enrol(
    db: AsyncSession, actor: Actor, class_id: UUID, pupil_id: UUID, now: datetime
) -> None:
    """Put a pupil on the roster of a class. Raises NotFound for an unknown class."""
    organisation_id = await db.scalar(select(Classes.organisation_id).where(Classes.id == class_id))
    if organisation_id is None:
        raise NotFound
    require(actor, Act.SCHEDULE_LESSON, Thing(organisation_id=organisation_id), now)
    right = Right(
        actor_id=pupil_id,
        kind=Kind.CLASS,
        organisation_id=organisation_id,
        about_id=class_id,
        since=now,
    )
    await grant(db, right, "roster")


async def schedule(db: AsyncSession, actor: Actor, new: NewLesson, now: datetime) -> UUID:
    """Put a lesson into the timetable and give its teacher the right to it.

    Raises NotFound when the class is not of that school.
    """
    require(actor, Act.SCHEDULE_LESSON, Thing(organisation_id=new.organisation_id), now)
    of_school = select(Classes.id).where(
        Classes.id == new.class_id, Classes.organisation_id == new.organisation_id
    )
    if await db.scalar(of_school) is None:
        raise NotFound
    row = Lessons(
        id=new.id,
        organisation_id=new.organisation_id,
        class_id=new.class_id,
        teacher_id=new.teacher_id,
        title=new.title,
        subject=new.subject,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
    )
    db.add(row)
    await db.flush()
    right = Right(
        actor_id=new.teacher_id,
        kind=Kind.TEACHING,
        organisation_id=new.organisation_id,
        about_id=row.id,
        since=now,
    )
    await grant(db, right, "timetable")
    emit(db, LessonScheduled(at=now, lesson_id=row.id))
    return row.id


async def my_lessons(
    db: AsyncSession, actor: Actor, day: date | None, now: datetime
) -> list[LessonSummary]:
    """Lessons of the actor on the school's local `day` (its today when None), in order of time."""
    if actor.id is None:
        return []
    query = (
        visible_to(actor.id, now)
        .where(on_local_day(day, now, Lessons.starts_at, Lessons.ends_at))
        .order_by(Lessons.starts_at, Lessons.id)
    )
    return [
        LessonSummary(
            id=row.id,
            title=row.title,
            subject=row.subject,
            class_name=class_name,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            my_side=side_of(actor, row, now),
        )
        for row, class_name, _school, _teacher in (await db.execute(query)).all()
    ]


async def get_lesson(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> Lesson:
    """Give a lesson its teacher or a pupil of its class asks for. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now).where(Lessons.id == lesson_id)
    found = (await db.execute(query)).one_or_none()
    if found is None:
        raise NotFound
    row, class_name, school, teacher = found
    return Lesson(
        id=row.id,
        title=row.title,
        subject=row.subject,
        class_name=class_name,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        my_side=side_of(actor, row, now),
        teacher=Ref(teacher.id, full_name(teacher.given_name, teacher.family_name)),
        organisation=Ref(school.id, school.name),
        state=state_of(row, now),
    )


async def seen(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime, *, lock: bool = False
) -> Lessons:
    """Give the row of a lesson the actor may see. Raises NotFound.

    With `lock` whoever changes the same lesson waits: every verb of the room takes this one first.
    """
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now).where(Lessons.id == lesson_id)
    if lock:
        query = query.with_for_update(of=Lessons).execution_options(populate_existing=True)
    row: Lessons | None = await db.scalar(query)
    if row is None:
        raise NotFound
    return row


async def led(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime, *, running: bool = True
) -> Lessons:
    """Give the locked row to a teacher who leads the lesson.

    Raises NotFound, Forbidden, and LessonNotRunning unless `running` is False.
    """
    row = await seen(db, actor, lesson_id, now, lock=True)
    require(actor, Act.LEAD_LESSON, thing(row), now)
    if running:
        require_running(row, now)
    return row


async def joined(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> Lessons:
    """Give the locked row of a running lesson to somebody who sits in it.

    Raises NotFound, Forbidden and LessonNotRunning.
    """
    row = await seen(db, actor, lesson_id, now, lock=True)
    require(actor, Act.JOIN_LESSON, thing(row), now)
    require_running(row, now)
    return row


def state_of(lesson: Lessons, now: datetime) -> LessonState:
    """State of a lesson at `now`."""
    if lesson.ended_at is not None or now > lesson.ends_at + OVERTIME:
        return LessonState.ENDED
    return LessonState.PLANNED if lesson.opened_at is None else LessonState.RUNNING


def require_running(lesson: Lessons, now: datetime) -> None:
    """Refuse what needs a running lesson with LessonNotRunning."""
    state = state_of(lesson, now)
    if state is not LessonState.RUNNING:
        raise LessonNotRunning(state)


def side_of(actor: Actor, lesson: Lessons, now: datetime) -> LessonSide:
    """Whoever leads sits on the teacher's side."""
    leads = may(actor, Act.LEAD_LESSON, thing(lesson), now)
    return LessonSide.TEACHER if leads else LessonSide.PUPIL
