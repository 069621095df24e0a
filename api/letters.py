"""Dead letters of an organisation: seen, tried again or dropped by its administrator."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import letters
from people.policy import Act
from people.sessions import Caller
from storage.dead_letters import Letter

LetterId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


@get(
    "/organisations/{organisation_id:uuid}/letters",
    operation_id="listLetters",
    act=Act.WATCH_BOARD,
    responses=refuses(401, 403, 404),
)
async def list_letters(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Letter]:
    """Work that failed for good, newest first."""
    return await letters.list_letters(db, caller.actor, organisation_id, now)


@post(
    "/organisations/{organisation_id:uuid}/letters/{letter_id:int}/retry",
    operation_id="retryLetter",
    status_code=204,
    act=Act.WATCH_BOARD,
    responses=refuses(400, 401, 403, 404),
)
async def retry_letter(
    organisation_id: FromPath[UUID],
    letter_id: LetterId,
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Have it tried anew, as often as at first."""
    await letters.try_again(db, caller.actor, organisation_id, letter_id, now)


@delete(
    "/organisations/{organisation_id:uuid}/letters/{letter_id:int}",
    operation_id="dropLetter",
    act=Act.WATCH_BOARD,
    responses=refuses(400, 401, 403, 404),
)
async def drop_letter(
    organisation_id: FromPath[UUID],
    letter_id: LetterId,
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Forget it: it will never be done."""
    await letters.drop(db, caller.actor, organisation_id, letter_id, now)


ROUTES = [list_letters, retry_letter, drop_letter]
