"""Lessons that run in a school now, for the board of its administrator."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import OVERTIME, Classes, Lessons
from eschool.takes import LessonTakes
from people.administration import require_at
from people.persons import Persons, full_name
from people.policy import Act, Actor


class RunningLesson(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson whose room is open."""

    id: UUID
    title: str
    class_name: str
    teacher: str
    opened_at: datetime
    recorded: bool


async def running_lessons(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[RunningLesson]:
    """Give the lessons that run at an organisation, the first opened first."""
    require_at(actor, Act.WATCH_BOARD, organisation_id, now)
    recorded = (
        select(LessonTakes.id)
        .where(LessonTakes.lesson_id == Lessons.id, LessonTakes.stopped_at.is_(None))
        .exists()
    )
    query = (
        select(Lessons, Classes.name, Persons, recorded)
        .join(Classes, Classes.id == Lessons.class_id)
        .join(Persons, Persons.id == Lessons.teacher_id)
        .where(
            Lessons.organisation_id == organisation_id,
            Lessons.opened_at.is_not(None),
            Lessons.ended_at.is_(None),
            Lessons.ends_at > now - OVERTIME,
        )
        .order_by(Lessons.opened_at, Lessons.id)
    )
    return [
        RunningLesson(
            id=lesson.id,
            title=lesson.title,
            class_name=class_name,
            teacher=full_name(teacher.given_name, teacher.family_name),
            opened_at=lesson.opened_at or now,
            recorded=in_take,
        )
        for lesson, class_name, teacher, in_take in (await db.execute(query)).all()
    ]
