"""Why the call of a visit was bad: for its doctor, and for the clinic's administrator.

An administrator sees no visits: by the id somebody named, sides and figures are told, no names.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.call_minutes import KEPT, CallMember, CallTimeline, told
from people.policy import Act, Actor, require
from people.refused import NotFound
from people.relations import allowed
from telemed.visits import Visits, thing


async def visit_call(db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime) -> CallTimeline:
    """Give the timeline of a visit's call. Raises NotFound, Forbidden (the patient)."""
    if actor.id is None:
        raise NotFound
    seen = (
        allowed(
            act,
            actor.id,
            now,
            subject=Visits.patient_id,
            organisation=Visits.organisation_id,
            about=(Visits.id,),
        )
        for act in (Act.SEE_VISIT, Act.SEE_VISIT_QUALITY)
    )
    row = await db.scalar(select(Visits).where(Visits.id == visit_id, or_(*seen)))
    if row is None:
        raise NotFound
    require(actor, Act.SEE_VISIT_QUALITY, thing(row), now)
    found, cut = await told(db, [row.id])
    members = [
        CallMember(
            id=None,
            side="doctor" if person_id == row.doctor_id else "patient",
            name=None,
            stretches=stretches,
        )
        for person_id, stretches in found.items()
    ]
    return CallTimeline(kept_days=KEPT.days, cut=cut, members=members)
