"""The caller's household: asking to be a guardian, saying yes or no, a teen's share of health."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from api.sign_in import network_of
from people import guardian_limits, guardian_steps, households
from people.codes import ShownCode
from people.guardian_limits import NewShare
from people.guardian_steps import ChildShown
from people.households import Family
from people.policy import Act
from people.sessions import Caller


class Made(msgspec.Struct, frozen=True):
    """The id of what was just made."""

    id: UUID


@get("/family", operation_id="myFamily", act=Act.HOUSEHOLD, responses=refuses(401))
async def my_family(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Family:
    """Whom the caller guards, who guards the caller, and what waits for a word."""
    return await households.family(db, caller.actor, now)


@post(
    "/family/code",
    operation_id="showGuardianCode",
    act=Act.HOUSEHOLD,
    responses=refuses(401, 403, 409),
)
async def show_guardian_code(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ShownCode:
    """A child's code for an adult who asks to be its guardian: one use, five minutes."""
    return await guardian_steps.show_code(db, caller.actor, now)


@post(
    "/family/guardianships",
    operation_id="askGuardianship",
    act=Act.HOUSEHOLD,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 429),
)
async def ask_guardianship(
    request: Request[Any, Any, Any],
    data: JSONBody[ChildShown],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Made:
    """Ask to be the guardian of the child whose card or code this is; twice is once."""
    network = network_of(request)
    return Made(await guardian_steps.ask_by_code(db, caller.actor, data, network, now))


@post(
    "/family/guardianships/{guardianship_id:uuid}/confirm",
    operation_id="confirmGuardianship",
    status_code=204,
    act=Act.HOUSEHOLD,
    responses=refuses(401, 403, 404, 409),
)
async def confirm_guardianship(
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Confirm another guardian of one's child; twice is once."""
    await guardian_steps.confirm(db, caller.actor, guardianship_id, now)


@post(
    "/family/guardianships/{guardianship_id:uuid}/agree",
    operation_id="agreeGuardianship",
    status_code=204,
    act=Act.HOUSEHOLD,
    responses=refuses(401, 403, 404, 409),
)
async def agree_guardianship(
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Let a confirmed guardian in, as a teen does; twice is once."""
    await guardian_steps.agree(db, caller.actor, guardianship_id, now)


@delete(
    "/family/guardianships/{guardianship_id:uuid}",
    operation_id="endGuardianship",
    act=Act.HOUSEHOLD,
    responses=refuses(401, 403, 404),
)
async def end_guardianship(
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Give up one's own, or refuse what does not live yet."""
    await guardian_steps.end(db, caller.actor, guardianship_id, now)


@put(
    "/family/guardianships/{guardianship_id:uuid}/share",
    operation_id="shareHealth",
    status_code=204,
    act=Act.HOUSEHOLD,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def share_health(
    guardianship_id: FromPath[UUID],
    data: JSONBody[NewShare],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Show one's health to a guardian until a time, as a teen decides."""
    await guardian_limits.share_health(db, caller.actor, guardianship_id, data, now)


@delete(
    "/family/guardianships/{guardianship_id:uuid}/share",
    operation_id="endHealthShare",
    act=Act.HOUSEHOLD,
    responses=refuses(401, 403, 404, 409),
)
async def end_health_share(
    guardianship_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Show it no more, from this moment on."""
    await guardian_limits.end_share(db, caller.actor, guardianship_id, now)


ROUTES = [
    my_family,
    show_guardian_code,
    ask_guardianship,
    confirm_guardianship,
    agree_guardianship,
    end_guardianship,
    share_health,
    end_health_share,
]
