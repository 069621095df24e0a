"""Visits that are open in a clinic now: which rooms, for a count. Who is in them is not told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.administration import require_at
from people.policy import Act, Actor
from telemed.visits import OVERTIME, Visits, VisitState


async def open_visits(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[UUID]:
    """Give the ids of the visits that are open at an organisation; they are not for an answer."""
    require_at(actor, Act.WATCH_BOARD, organisation_id, now)
    query = select(Visits.id).where(
        Visits.organisation_id == organisation_id,
        Visits.state == VisitState.OPEN,
        Visits.ends_at > now - OVERTIME,
    )
    return list((await db.scalars(query)).all())
