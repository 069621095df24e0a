"""Visits: read one, open, close, and the ticket to its socket."""

from datetime import datetime
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import tickets
from people.policy import Act
from people.sessions import Caller
from people.tickets import Ticket
from telemed import visits
from telemed.visits import Visit


@get(
    "/visits/{visit_id:uuid}",
    operation_id="getVisit",
    act=Act.SEE_VISIT,
    responses=refuses(401, 404),
)
async def get_visit(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Visit:
    """A visit, to its doctor or patient."""
    return await visits.get_visit(db, caller.actor, visit_id, now)


@post(
    "/visits/{visit_id:uuid}/open",
    operation_id="openVisit",
    status_code=200,
    act=(Act.OPEN_VISIT, Act.JOIN_VISIT, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def open_visit(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Visit:
    """Let media flow; opening twice is opening."""
    return await visits.open_visit(db, caller.actor, visit_id, now)


@post(
    "/visits/{visit_id:uuid}/close",
    operation_id="closeVisit",
    status_code=200,
    act=(Act.CLOSE_VISIT, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def close_visit(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Visit:
    """End the visit and every live right to it; closing twice is closing."""
    return await visits.close_visit(db, caller.actor, visit_id, now)


@post(
    "/visits/{visit_id:uuid}/ticket",
    operation_id="visitTicket",
    act=(Act.JOIN_VISIT, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def visit_ticket(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Ticket:
    """A ticket to the visit's socket: one use, 30 s."""
    await visits.require_join(db, caller.actor, visit_id, now)
    return await tickets.issue(db, caller, visit_id, now)


ROUTES = [get_visit, open_visit, close_visit, visit_ticket]
