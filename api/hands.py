"""Hands and the floor of a lesson."""

from datetime import datetime
from uuid import UUID

from litestar import delete, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import hands, lesson_room
from eschool.hands import NewFloor
from eschool.lesson_room import LessonRoom
from people.policy import Act
from people.sessions import Caller


@put(
    "/lessons/{lesson_id:uuid}/hand",
    operation_id="raiseHand",
    status_code=204,
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def raise_hand(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Raise my hand; raised twice it keeps its place."""
    await hands.raise_hand(db, caller.actor, lesson_id, now)


@delete(
    "/lessons/{lesson_id:uuid}/hand",
    operation_id="lowerHand",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def lower_hand(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Lower my hand."""
    await hands.lower_hand(db, caller.actor, lesson_id, now)


@delete(
    "/lessons/{lesson_id:uuid}/hands/{person_id:uuid}",
    operation_id="lowerOtherHand",
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def lower_other(
    lesson_id: FromPath[UUID],
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Lower a pupil's hand."""
    await hands.lower_other(db, caller.actor, lesson_id, person_id, now)


@put(
    "/lessons/{lesson_id:uuid}/floor",
    operation_id="giveFloor",
    act=(Act.LEAD_LESSON, Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def give_floor(
    lesson_id: FromPath[UUID],
    data: JSONBody[NewFloor],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> LessonRoom:
    """Let one pupil of the class speak; whoever spoke before is silent."""
    await hands.give_floor(db, caller.actor, lesson_id, data, now)
    return await lesson_room.room(db, lesson_id, now)


@delete(
    "/lessons/{lesson_id:uuid}/floor",
    operation_id="takeFloor",
    act=(Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404, 409),
)
async def take_floor(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End the floor: the teacher whoever has it, a pupil his own."""
    await hands.take_floor(db, caller.actor, lesson_id, now)


ROUTES = [raise_hand, lower_hand, lower_other, give_floor, take_floor]
