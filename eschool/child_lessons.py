"""A child's lessons, as a confirmed guardian sees them while the child's school is open to him."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import Classes, Lessons, LessonState, state_of
from people.households import get_child
from people.organisations import Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Thing, require
from people.refused import NotFound
from people.relations import Relations, allowed

BEFORE, AFTER = timedelta(days=14), timedelta(days=7)
SHOWN = 100


class ChildLesson(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson of a child's class, from outside: what was recorded is the class's to watch."""

    id: UUID
    title: str
    subject: str
    class_name: str
    starts_at: datetime
    ends_at: datetime
    state: LessonState
    teacher: Ref
    organisation: Ref


def visible_to(
    person_id: UUID, child_id: UUID, now: datetime
) -> Select[Lessons, str, Persons, Organisations]:
    """Lessons of the classes a child is in, if its school is open to this person."""
    in_class = exists().where(
        Relations.actor_id == child_id,
        Relations.kind == Kind.CLASS.value,
        Relations.about_id == Lessons.class_id,
        Relations.organisation_id == Lessons.organisation_id,
        Relations.live(now),
    )
    return (
        select(Lessons, Classes.name, Persons, Organisations)
        .join(Classes, Classes.id == Lessons.class_id)
        .join(Persons, Persons.id == Lessons.teacher_id)
        .join(Organisations, Organisations.id == Lessons.organisation_id)
        .where(
            and_(in_class, allowed(Act.SEE_CHILD_SCHOOL, person_id, now, subject=child_id)),
            Lessons.starts_at.between(now - BEFORE, now + AFTER),
        )
        .order_by(Lessons.starts_at.desc(), Lessons.id)
    )


async def child_lessons(
    db: AsyncSession, actor: Actor, child_id: UUID, now: datetime
) -> list[ChildLesson]:
    """Give the lessons of two weeks past and one to come, the last first.

    Raises NotFound unless the actor is its guardian, Forbidden while its school is closed to him.
    """
    await get_child(db, actor, child_id, now)
    require(actor, Act.SEE_CHILD_SCHOOL, Thing(subject_id=child_id), now)
    if actor.id is None:
        raise NotFound
    rows = (await db.execute(visible_to(actor.id, child_id, now).limit(SHOWN))).all()
    return [_shown(*row, now=now) for row in rows]


async def next_lesson(
    db: AsyncSession, actor: Actor, child_id: UUID, now: datetime
) -> ChildLesson | None:
    """Give the lesson a child has now or next, of those open to the actor."""
    if actor.id is None:
        return None
    query = (
        visible_to(actor.id, child_id, now)
        .where(Lessons.ends_at > now, Lessons.ended_at.is_(None))
        .order_by(None)
        .order_by(Lessons.starts_at, Lessons.id)
        .limit(1)
    )
    row = (await db.execute(query)).one_or_none()
    return None if row is None else _shown(*row, now=now)


def _shown(
    lesson: Lessons,
    class_name: str,
    teacher: Persons,
    school: Organisations,
    *,
    now: datetime,
) -> ChildLesson:
    return ChildLesson(
        id=lesson.id,
        title=lesson.title,
        subject=lesson.subject,
        class_name=class_name,
        starts_at=lesson.starts_at,
        ends_at=lesson.ends_at,
        state=state_of(lesson, now),
        teacher=Ref(teacher.id, full_name(teacher.given_name, teacher.family_name)),
        organisation=Ref(school.id, school.name),
    )
