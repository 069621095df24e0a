"""Acting at the desk for whoever shows a QR."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from api.readings import status_of
from api.sign_in import network_of
from devices.measurement import Measurement
from people import assistance
from people.assistance import Assistance, NewAssistance
from people.policy import Act
from people.sessions import Caller
from telemed.assisted import todays_visits, typed_for
from telemed.child_visits import VisitOutside
from telemed.readings import Reading


class Desk(msgspec.Struct, frozen=True):
    """Whom the caller acts for, and what that person has here today."""

    assistance: Assistance
    visits: list[VisitOutside]


@get(
    "/assistance",
    operation_id="listAssistance",
    act=(Act.HOUSEHOLD, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(401),
)
async def list_assistance(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Assistance]:
    """Whom the caller acts for now, and who acts for the caller."""
    return await assistance.going_on(db, caller.actor, now)


@post(
    "/assistance",
    operation_id="startAssistance",
    act=(Act.SCAN_QR, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(400, 401, 403, 404, 413, 415, 429),
)
async def start_assistance(
    request: Request[Any, Any, Any],
    data: JSONBody[NewAssistance],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Assistance:
    """Act for whoever showed this code, for half an hour."""
    return await assistance.start(db, caller.actor, data, network_of(request), now)


@get(
    "/assistance/{assistance_id:uuid}",
    operation_id="getAssistance",
    act=(Act.ASSIST, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(401, 403, 404),
)
async def get_assistance(
    assistance_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Desk:
    """The person helped and today's visits at this desk's clinic."""
    found = await assistance.get(db, caller.actor, assistance_id, now)
    return Desk(found, await todays_visits(db, caller.actor, assistance_id, now))


@post(
    "/assistance/{assistance_id:uuid}/readings",
    operation_id="addReadingFor",
    act=(Act.ASSIST, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422)
    | {200: ResponseSpec(Reading, generate_examples=False, description="Repeated.")},
)
async def add_reading_for(
    assistance_id: FromPath[UUID],
    data: JSONBody[Measurement],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Reading]:
    """Store a reading typed in for the person helped; answered after the commit."""
    # A transaction of its own: the ingest writer must not wait for a connection we hold.
    async with house.transaction() as db:
        typed = await typed_for(db, sender.actor, assistance_id, data, now)
    applied = await house.readings.submit([typed], lane=typed.device.lane)
    return Response(applied[0].reading, status_code=status_of(applied))


@delete(
    "/assistance/{assistance_id:uuid}",
    operation_id="stopAssistance",
    act=(Act.HOUSEHOLD, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(401, 404),
)
async def stop_assistance(
    assistance_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End it, from either side."""
    await assistance.stop(db, caller.actor, assistance_id, now)


ROUTES = [
    list_assistance,
    start_assistance,
    get_assistance,
    add_reading_for,
    stop_assistance,
]
