"""Erasing persons, and the holds that forbid it: acts of an organisation's administrator."""

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
from people import erasure, holds
from people.erasure import Erasure, NewErasure
from people.holds import Hold, NewHold
from people.policy import Act
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
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Erasure]:
    """Whom the organisation erased."""
    return await erasure.list_erasures(db, caller, organisation_id, now)


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


ROUTES = [erase, list_erasures, set_hold, list_holds, lift_hold]
