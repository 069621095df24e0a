"""The caller's own account."""

from datetime import datetime

import msgspec
from litestar import get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import persons
from people.persons import Me, MyChanges
from people.policy import Act
from people.sessions import Caller


@get("/me", operation_id="me", act=Act.ACCOUNT, enrolling=True, responses=refuses(401))
async def me(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Me:
    """The signed-in person with every hat worn now."""
    found = await persons.me(db, caller.person_id, now)
    return msgspec.structs.replace(found, enrolment_needed=caller.enrolling)


@patch(
    "/me",
    operation_id="updateMe",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(400, 401, 403, 413, 415),
)
async def update_me(
    data: JSONBody[MyChanges],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Me:
    """Change one's own language."""
    found = await persons.update_me(db, caller.actor, caller.person_id, data, now)
    return msgspec.structs.replace(found, enrolment_needed=caller.enrolling)


ROUTES = [me, update_me]
