"""Guardians of an organisation's children, for its administrators."""

from datetime import datetime
from uuid import UUID

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.family import Made
from api.problems import refuses
from people import guardian_limits, guardian_steps, households
from people.guardian_limits import NewLimit
from people.guardian_steps import NewGuardian
from people.households import ManagedTie
from people.policy import Act
from people.sessions import Caller
from people.step_up import require_fresh


@get(
    "/organisations/{organisation_id:uuid}/guardianships",
    operation_id="listGuardianships",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404),
)
async def list_guardianships(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[ManagedTie]:
    """Guardianships of the organisation's children, those that wait first."""
    return await households.list_guardianships(db, caller.actor, organisation_id, now)


@post(
    "/organisations/{organisation_id:uuid}/guardianships",
    operation_id="appointGuardian",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def appoint_guardian(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewGuardian],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Made:
    """Make somebody a child's guardian, with the papers at hand; twice is once."""
    require_fresh(caller, now)
    return Made(await guardian_steps.appoint(db, caller.actor, organisation_id, data, now))


@post(
    "/organisations/{organisation_id:uuid}/guardianships/{guardianship_id:uuid}/confirm",
    operation_id="confirmGuardianshipHere",
    status_code=204,
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404, 409),
)
async def confirm_guardianship_here(
    organisation_id: FromPath[UUID],
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Confirm what a guardian asked for; twice is once."""
    require_fresh(caller, now)
    await guardian_steps.confirm_here(db, caller.actor, organisation_id, guardianship_id, now)


@delete(
    "/organisations/{organisation_id:uuid}/guardianships/{guardianship_id:uuid}",
    operation_id="endGuardianshipHere",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404),
)
async def end_guardianship_here(
    organisation_id: FromPath[UUID],
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End it and every right of it at once."""
    require_fresh(caller, now)
    await guardian_steps.end_here(db, caller.actor, organisation_id, guardianship_id, now)


@post(
    "/organisations/{organisation_id:uuid}/guardianships/{guardianship_id:uuid}/limits",
    operation_id="limitGuardian",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def limit_guardian(
    *,
    organisation_id: FromPath[UUID],
    guardianship_id: FromPath[UUID],
    data: JSONBody[NewLimit],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Made:
    """Close health or school to a guardian by a court's paper; what is open ends at once."""
    require_fresh(caller, now)
    made = await guardian_limits.set_limit(
        db, caller.actor, organisation_id, guardianship_id, new=data, now=now
    )
    return Made(made)


@delete(
    "/organisations/{organisation_id:uuid}/limits/{limit_id:uuid}",
    operation_id="liftLimit",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404),
)
async def lift_limit(
    organisation_id: FromPath[UUID],
    limit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Open again what this organisation closed."""
    require_fresh(caller, now)
    await guardian_limits.lift_limit(db, caller.actor, organisation_id, limit_id, now)


ROUTES = [
    list_guardianships,
    appoint_guardian,
    confirm_guardianship_here,
    end_guardianship_here,
    limit_guardian,
    lift_limit,
]
