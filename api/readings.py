"""Readings: from devices, by hand, and on a visit's page."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from devices.measurement import Measurement
from people.device_tokens import KnownDevice
from people.policy import Act
from people.sessions import Caller
from telemed import readings
from telemed.readings import Applied, Outcome, Reading, ReadingResult


class NewReadings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device sends; it may send again whatever was not acknowledged."""

    readings: Annotated[list[Measurement], msgspec.Meta(min_length=1, max_length=1000)]


class ReadingResults(msgspec.Struct, frozen=True):
    """One answer a reading, in order."""

    results: list[ReadingResult]


def status_of(applied: list[Applied]) -> int:
    """201 when something new was stored, else 200."""
    return 201 if any(one.status is Outcome.STORED for one in applied) else 200


@post(
    "/readings",
    operation_id="sendReadings",
    act=Act.SEND_READINGS,
    responses=refuses(400, 401, 403, 409, 413, 415, 422)
    | {200: ResponseSpec(ReadingResults, generate_examples=False, description="All repeated.")},
)
async def send_readings(
    data: JSONBody[NewReadings],
    device: NamedDependency[KnownDevice],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[ReadingResults]:
    """Store a device's readings, all or none; answered after the commit."""
    checked = readings.incoming(device, data.readings, now)
    applied = await house.readings.submit(checked, lane=device.lane)
    return Response(ReadingResults(readings.results(applied)), status_code=status_of(applied))


@post(
    "/my/readings",
    operation_id="addMyReading",
    act=Act.ADD_OWN_READING,
    responses=refuses(400, 401, 403, 409, 413, 415, 422)
    | {200: ResponseSpec(Reading, generate_examples=False, description="Repeated.")},
)
async def add_my_reading(
    data: JSONBody[Measurement],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Reading]:
    """Store a reading the caller typed in; answered after the commit."""
    typed = readings.by_hand(sender.actor, sender.person_id, data, now)
    applied = await house.readings.submit([typed], lane=typed.device.lane)
    return Response(applied[0].reading, status_code=status_of(applied))


@get(
    "/visits/{visit_id:uuid}/readings",
    operation_id="visitReadings",
    act=(Act.SEE_VISIT_READINGS, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404),
)
async def visit_readings(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    after: FromQuery[UUID | None] = None,
) -> list[Reading]:
    """Readings of the visit's patient, oldest first; with `after` only those received since."""
    return await readings.visit_readings(db, caller.actor, visit_id, after, now)


ROUTES = [send_readings, add_my_reading, visit_readings]
