"""A child's page, side by side from health and school, each absent where it is closed; home."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool.child_lessons import ChildLesson, child_lessons, next_lesson
from people import households
from people.households import Child, Step
from people.policy import Act
from people.sessions import Caller
from telemed.child_visits import VisitOutside, child_visits, next_visit


class ChildToday(msgspec.Struct, frozen=True, kw_only=True):
    """A child on its guardian's home page: what comes next of what is open to him."""

    child: Child
    visit: VisitOutside | None
    lesson: ChildLesson | None


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """What the home page shows beside the caller's own day."""

    children: list[ChildToday]
    step: Step | None
    waiting: int


@get(
    "/home", operation_id="home", act=(Act.HOUSEHOLD, Act.SEE_CHILD_SCHOOL), responses=refuses(401)
)
async def home(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Home:
    """The caller's children across health and school, and how much waits for a word."""
    family = await households.family(db, caller.actor, now)
    children = [
        ChildToday(
            child=child,
            visit=await next_visit(db, caller.actor, child.id, now) if child.health else None,
            lesson=await next_lesson(db, caller.actor, child.id, now) if child.school else None,
        )
        for child in family.children
    ]
    return Home(children=children, step=family.step, waiting=family.waiting)


@get(
    "/children/{child_id:uuid}",
    operation_id="getChild",
    act=Act.HOUSEHOLD,
    responses=refuses(401, 404),
)
async def get_child(
    child_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Child:
    """A child, to a guardian who is confirmed for it."""
    return await households.get_child(db, caller.actor, child_id, now)


@get(
    "/children/{child_id:uuid}/visits",
    operation_id="childVisits",
    act=(Act.SEE_CHILD_HEALTH, Act.HOUSEHOLD),
    responses=refuses(401, 403, 404),
)
async def visits_of_child(
    child_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[VisitOutside]:
    """A child's newest visits; 403 while its health is closed to the caller."""
    return await child_visits(db, caller.actor, child_id, now)


@get(
    "/children/{child_id:uuid}/lessons",
    operation_id="childLessons",
    act=(Act.SEE_CHILD_SCHOOL, Act.HOUSEHOLD),
    responses=refuses(401, 403, 404),
)
async def lessons_of_child(
    child_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[ChildLesson]:
    """A child's lessons, two weeks back and one ahead; 403 while its school is closed."""
    return await child_lessons(db, caller.actor, child_id, now)


ROUTES = [home, get_child, visits_of_child, lessons_of_child]
