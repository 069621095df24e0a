"""A class divided into groups, and called back."""

from datetime import datetime
from uuid import UUID

from litestar import delete, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import groups, lesson_room
from eschool.groups import NewGroups, NewPlace
from eschool.lesson_room import LessonRoom
from people.policy import Act
from people.sessions import Caller


@put(
    "/lessons/{lesson_id:uuid}/groups",
    operation_id="divideLesson",
    act=(Act.LEAD_LESSON, Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def divide_lesson(
    lesson_id: FromPath[UUID],
    data: JSONBody[NewGroups],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> LessonRoom:
    """Seat the pupils in groups for some minutes, or anew; whoever is not named stays in class."""
    await groups.divide(db, caller.actor, lesson_id, data, now)
    return await lesson_room.room(db, lesson_id, now)


@delete(
    "/lessons/{lesson_id:uuid}/groups",
    operation_id="callLessonBack",
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def call_lesson_back(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Bring everybody back to the class."""
    await groups.call_back(db, caller.actor, lesson_id, now)


@put(
    "/lessons/{lesson_id:uuid}/groups/visited",
    operation_id="visitGroup",
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def visit_group(
    lesson_id: FromPath[UUID],
    data: JSONBody[NewPlace],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> LessonRoom:
    """Go to a group, or back to the class."""
    await groups.go_to(db, caller.actor, lesson_id, data.number, now)
    return await lesson_room.room(db, lesson_id, now)


ROUTES = [divide_lesson, call_lesson_back, visit_group]
