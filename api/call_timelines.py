"""Why was it bad? How the calls of visits and lessons went, for those who answer for them."""

from datetime import datetime
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool.lesson_calls import lesson_call
from people.call_minutes import CallTimeline
from people.policy import Act
from people.sessions import Caller
from telemed.visit_calls import visit_call


@get(
    "/visits/{visit_id:uuid}/call-timeline",
    operation_id="visitCallTimeline",
    act=(Act.SEE_VISIT_QUALITY, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def visit_call_timeline(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> CallTimeline:
    """How the call of a visit went for both sides."""
    return await visit_call(db, caller.actor, visit_id, now)


@get(
    "/lessons/{lesson_id:uuid}/call-timeline",
    operation_id="lessonCallTimeline",
    act=(Act.SEE_LESSON_QUALITY, Act.SEE_LESSON),
    responses=refuses(401, 403, 404),
)
async def lesson_call_timeline(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> CallTimeline:
    """How a lesson went for everybody who was in it."""
    return await lesson_call(db, caller.actor, lesson_id, now)


ROUTES = [visit_call_timeline, lesson_call_timeline]
