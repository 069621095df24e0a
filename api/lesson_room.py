"""The lesson's room as everybody in it sees it."""

from datetime import datetime
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import lesson_room
from eschool.lesson_room import LessonRoom
from people.policy import Act
from people.sessions import Caller


@get(
    "/lessons/{lesson_id:uuid}/room",
    operation_id="getLessonRoom",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def get_lesson_room(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> LessonRoom:
    """Slide, hands, floor and recording as they are now."""
    await lesson_room.require_join(db, caller.actor, lesson_id, now)
    return await lesson_room.room(db, lesson_id, now)


ROUTES = [get_lesson_room]
