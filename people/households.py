"""Households: who belongs together follows from confirmed guardians; nothing is kept twice."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.ages import age_on, is_minor
from people.policy import Kind
from people.relations import Relations

__all__ = ["age_on", "guardians_of", "is_minor"]


async def guardians_of(
    db: AsyncSession, child_id: UUID, now: datetime, kind: Kind = Kind.GUARDIANSHIP
) -> list[UUID]:
    """Give the confirmed guardians of a child, the first confirmed first.

    With Kind.CHILD_HEALTH or Kind.CHILD_SCHOOL only those who may see that of the child now.
    """
    query = (
        select(Relations.actor_id)
        .where(Relations.subject_id == child_id, Relations.kind == kind.value, Relations.live(now))
        .order_by(Relations.since, Relations.id)
    )
    return list(dict.fromkeys((await db.scalars(query)).all()))
