"""Lessons: read one, open it, end it, and the ticket to its socket."""

from datetime import datetime
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import lesson_room, lessons
from eschool.lessons import Lesson
from people import tickets
from people.policy import Act
from people.sessions import Caller
from people.tickets import Ticket


@get(
    "/lessons/{lesson_id:uuid}",
    operation_id="getLesson",
    act=(Act.SEE_LESSON, Act.LEAD_LESSON),
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


@post(
    "/lessons/{lesson_id:uuid}/open",
    operation_id="openLesson",
    status_code=200,
    act=(Act.LEAD_LESSON, Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def open_lesson(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Lesson:
    """Let media flow, from an hour before its time on; opening twice is opening."""
    return await lesson_room.open_lesson(db, caller.actor, lesson_id, now)


@post(
    "/lessons/{lesson_id:uuid}/end",
    operation_id="endLesson",
    status_code=200,
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def end_lesson(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Lesson:
    """End the lesson with its floor, hands and recording; ending twice is ending."""
    return await lesson_room.end_lesson(db, caller.actor, lesson_id, now)


@post(
    "/lessons/{lesson_id:uuid}/ticket",
    operation_id="lessonTicket",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def lesson_ticket(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Ticket:
    """A ticket to the lesson's socket: one use, 30 s."""
    await lesson_room.require_join(db, caller.actor, lesson_id, now)
    return await tickets.issue(db, caller, lesson_id, now)


ROUTES = [get_lesson, open_lesson, end_lesson, lesson_ticket]
