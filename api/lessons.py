"""Lessons."""

from datetime import datetime
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import lessons
from eschool.lessons import Lesson
from people.policy import Act
from people.sessions import Caller


@get(
    "/lessons/{lesson_id:uuid}",
    operation_id="getLesson",
    act=Act.SEE_LESSON,
    responses=refuses(401, 404),
)
async def get_lesson(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Lesson:
    """A lesson, to its teacher and the pupils of its class."""
    return await lessons.get_lesson(db, caller.actor, lesson_id, now)


ROUTES = [get_lesson]
