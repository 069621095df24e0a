"""Dead letters of an organisation: work that failed for good, for its administrator to act on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.policy import Act, Actor, Thing
from people.refused import NotFound
from storage import dead_letters
from storage.dead_letters import Letter


async def list_letters(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[Letter]:
    """Give what failed for good, newest first. Raises NotFound, Forbidden."""
    require_at(actor, Act.WATCH_BOARD, organisation_id, now)
    return await dead_letters.list_letters(db, organisation_id)


async def try_again(
    db: AsyncSession, actor: Actor, organisation_id: UUID, letter_id: int, now: datetime
) -> None:
    """Have it tried anew. Raises NotFound, Forbidden."""
    require_at(actor, Act.WATCH_BOARD, organisation_id, now)
    name = await dead_letters.try_again(db, organisation_id, letter_id)
    if name is None:
        raise NotFound
    thing = Thing(organisation_id=organisation_id)
    await audit.acted(db, actor.id, "letter_tried_again", thing, now, details={"job": name})


async def drop(
    db: AsyncSession, actor: Actor, organisation_id: UUID, letter_id: int, now: datetime
) -> None:
    """Forget it: it will never be done. Raises NotFound, Forbidden."""
    require_at(actor, Act.WATCH_BOARD, organisation_id, now)
    name = await dead_letters.drop(db, organisation_id, letter_id)
    if name is None:
        raise NotFound
    thing = Thing(organisation_id=organisation_id)
    await audit.acted(db, actor.id, "letter_dropped", thing, now, details={"job": name})
