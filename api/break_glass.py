"""Break-glass: a doctor opens a record in an emergency, an administrator judges it afterwards."""

from datetime import datetime
from uuid import UUID

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import break_glass
from people.break_glass import BreakGlassReview, NewBreakGlass, OpenedRecord, Verdict
from people.policy import Act
from people.sessions import Caller


@post(
    "/organisations/{organisation_id:uuid}/break-glass",
    operation_id="breakGlass",
    act=Act.BREAK_GLASS,
    responses=refuses(400, 401, 403, 404, 413, 415, 422),
)
async def open_record(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewBreakGlass],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> OpenedRecord:
    """Open a patient's record for an hour; the patient is told at once."""
    return await break_glass.break_glass(db, caller, organisation_id, data, now)


@post(
    "/break-glass/{glass_id:uuid}/end",
    operation_id="endBreakGlass",
    status_code=204,
    act=Act.REVIEW_BREAK_GLASS,
    responses=refuses(401, 403, 404),
)
async def end_record(
    glass_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Close a record before its hour is over."""
    await break_glass.end_break_glass(db, caller.actor, glass_id, now)


@get(
    "/organisations/{organisation_id:uuid}/break-glass",
    operation_id="listBreakGlass",
    act=Act.REVIEW_BREAK_GLASS,
    responses=refuses(401, 403, 404),
)
async def list_reviews(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[BreakGlassReview]:
    """Emergencies of the clinic: first those that nobody has judged."""
    return await break_glass.reviews(db, caller.actor, organisation_id, now)


@put(
    "/break-glass/{glass_id:uuid}/review",
    operation_id="reviewBreakGlass",
    status_code=204,
    act=Act.REVIEW_BREAK_GLASS,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def review(
    glass_id: FromPath[UUID],
    data: JSONBody[Verdict],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Say whether an emergency was one; said once."""
    await break_glass.review(db, caller.actor, glass_id, data, now)


ROUTES = [open_record, end_record, list_reviews, review]
