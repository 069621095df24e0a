"""The caller's day: visits and lessons."""

import datetime as dt

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool.lessons import LessonSummary, my_lessons
from people.organisations import today_of
from people.policy import Act
from people.sessions import Caller
from telemed.visits import VisitSummary, my_visits


class Day(msgspec.Struct, frozen=True):
    """What the caller has on a local date of the clinic or school."""

    date: dt.date
    visits: list[VisitSummary]
    lessons: list[LessonSummary]


@get(
    "/day",
    operation_id="myDay",
    act=(Act.ACCOUNT, Act.LEAD_LESSON, Act.SEE_LESSON, Act.SEE_VISIT),
    responses=refuses(400, 401),
)
async def my_day(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[dt.datetime],
    date: FromQuery[dt.date | None] = None,
) -> Day:
    """Visits and lessons of `date`, or of today where the caller belongs."""
    return Day(
        date=date or await today_of(db, caller.person_id, now),
        visits=await my_visits(db, caller.actor, date, now),
        lessons=await my_lessons(db, caller.actor, date, now),
    )


ROUTES = [my_day]
