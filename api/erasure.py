"""Erasing persons, the holds that forbid it, how long what is kept: an administrator's acts."""

from datetime import datetime
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from people import erasing as erasing_people
from people import erasure, erasure_answers, erasure_requests, erasures_done, holds, retention
from people.erasure import Erasure, NewErasure
from people.erasure_answers import ErasurePlan, NewErasureAnswer
from people.erasure_requests import ErasureRequest
from people.holds import Hold, NewHold
from people.policy import Act
from people.retention import KeptFor
from people.sessions import Caller
from telemed import erasing

ROOMS: Final = (erasing, erasing_people)  # importing a room's erasing tells what it keeps


@post(
    "/organisations/{organisation_id:uuid}/erasures",
    operation_id="erasePerson",
    act=Act.ERASE_PERSON,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def erase(  # noqa: PLR0917 - Litestar gives them by name
    organisation_id: FromPath[UUID],
    data: JSONBody[NewErasure],
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Erasure:
    """Destroy a person's key and leave a tombstone; there is no way back."""
    stores = (house.settings, house.objects)
    return await erasure.erase(db, *stores, caller, organisation_id, data, now)


@get(
    "/organisations/{organisation_id:uuid}/erasures",
    operation_id="listErasures",
    act=Act.ERASE_PERSON,
    responses=refuses(401, 403, 404),
)
async def list_erasures(
    organisation_id: FromPath[UUID],
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Erasure]:
    """Whom the organisation erased, and what of the log was never done."""
    return await erasures_done.list_erasures(db, house.settings, caller, organisation_id, now)


@get(
    "/organisations/{organisation_id:uuid}/people/{person_id:uuid}/erasure",
    operation_id="planErasure",
    act=Act.ERASE_PERSON,
    responses=refuses(401, 403, 404),
)
async def plan_erasure(
    organisation_id: FromPath[UUID],
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ErasurePlan:
    """What stands against erasing somebody, told beforehand."""
    return await erasure_answers.plan(db, caller, organisation_id, person_id, now)


@get(
    "/organisations/{organisation_id:uuid}/erasure-requests",
    operation_id="listErasureRequests",
    act=Act.ERASE_PERSON,
    responses=refuses(401, 403, 404),
)
async def list_requests(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[ErasureRequest]:
    """Requests that the organisation made, and those that it is asked to agree to."""
    return await erasure_requests.list_requests(db, caller.actor, organisation_id, now)


@post(
    "/organisations/{organisation_id:uuid}/erasure-requests",
    operation_id="askErasure",
    act=Act.ERASE_PERSON,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def ask_erasure(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewErasure],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ErasureRequest:
    """Ask the other organisations that keep something of a person to let it be erased."""
    return await erasure_answers.ask(db, caller, organisation_id, data, now)


@post(
    "/organisations/{organisation_id:uuid}/erasure-requests/{request_id:uuid}/answer",
    operation_id="answerErasure",
    status_code=200,
    act=Act.ERASE_PERSON,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def answer_erasure(  # noqa: PLR0917 - Litestar gives them by name
    organisation_id: FromPath[UUID],
    request_id: FromPath[UUID],
    data: JSONBody[NewErasureAnswer],
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ErasureRequest:
    """Agree to another organisation's request, or refuse it; the last agreement erases."""
    what = (organisation_id, request_id, data)
    return await erasure_answers.answer(db, house.settings, house.objects, caller, *what, now)


@post(
    "/organisations/{organisation_id:uuid}/erasure-requests/{request_id:uuid}/withdraw",
    operation_id="withdrawErasure",
    status_code=204,
    act=Act.ERASE_PERSON,
    responses=refuses(401, 403, 404, 409),
)
async def withdraw_erasure(
    organisation_id: FromPath[UUID],
    request_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take the organisation's own request back."""
    await erasure_answers.withdraw(db, caller, organisation_id, request_id, now)


@get(
    "/organisations/{organisation_id:uuid}/retention",
    operation_id="listRetention",
    act=Act.ERASE_PERSON,
    responses=refuses(401, 403, 404),
)
async def list_retention(
    organisation_id: FromPath[UUID],
    house: NamedDependency[House],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> list[KeptFor]:
    """How long what is kept before it is deleted for its age."""
    return retention.kept_for(house.settings, caller.actor, organisation_id, now)


@post(
    "/organisations/{organisation_id:uuid}/holds",
    operation_id="setHold",
    act=Act.HOLD_PERSON,
    responses=refuses(400, 401, 403, 404, 413, 415, 422),
)
async def set_hold(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewHold],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Hold:
    """Hold what is known of a person: neither erased nor deleted for its age."""
    return await holds.set_hold(db, caller, organisation_id, data, now)


@get(
    "/organisations/{organisation_id:uuid}/holds",
    operation_id="listHolds",
    act=Act.HOLD_PERSON,
    responses=refuses(401, 403, 404),
)
async def list_holds(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Hold]:
    """Holds of the organisation, those that hold first."""
    return await holds.list_holds(db, caller.actor, organisation_id, now)


@post(
    "/organisations/{organisation_id:uuid}/holds/{hold_id:uuid}/lift",
    operation_id="liftHold",
    status_code=204,
    act=Act.HOLD_PERSON,
    responses=refuses(401, 403, 404),
)
async def lift_hold(
    organisation_id: FromPath[UUID],
    hold_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Lift a hold."""
    await holds.lift_hold(db, caller, organisation_id, hold_id, now)


ROUTES = [
    erase,
    list_erasures,
    plan_erasure,
    list_requests,
    ask_erasure,
    answer_erasure,
    withdraw_erasure,
    list_retention,
    set_hold,
    list_holds,
    lift_hold,
]
