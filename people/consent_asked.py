"""What organisations ask their people for, and whose word each of them needs today."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.ages import local_day
from people.consent_rules import PURPOSES, Hand, Purpose, hands_needed
from people.organisations import OrganisationKind, Organisations, today_of
from people.persons import Persons
from people.policy import Kind
from people.relations import Relations

# Kinds of relation by which an organisation asks somebody.
_BELONGS = (Kind.ATTACHMENT, Kind.CLASS, Kind.DUTY)


async def asked_of(
    db: AsyncSession, person_ids: Collection[UUID], now: datetime
) -> dict[UUID, dict[UUID, tuple[Purpose, ...]]]:
    """What each of these people is asked for: person → organisation → purposes.

    A clinic asks its patients, a school its pupils; of its teachers only for being recorded.
    """
    query = (
        select(Relations.actor_id, Relations.kind, Organisations.id, Organisations.kind)
        .join(Organisations, Organisations.id == Relations.organisation_id)
        .where(
            Relations.actor_id.in_(person_ids),
            Relations.kind.in_([kind.value for kind in _BELONGS]),
            Relations.live(now),
        )
        .order_by(Organisations.name, Organisations.id)
    )
    found: dict[UUID, dict[UUID, tuple[Purpose, ...]]] = {one: {} for one in person_ids}
    for person_id, kind, place_id, place_kind in (await db.execute(query)).all():
        place = OrganisationKind(place_kind)
        works = kind == Kind.DUTY
        teacher = (Purpose.RECORDING_LESSON,) if place is OrganisationKind.SCHOOL else ()
        purposes = teacher if works else PURPOSES[place]
        before = found[person_id].get(place_id, ())
        if purposes:
            found[person_id][place_id] = max(before, purposes, key=len)
    return found


async def needed(
    db: AsyncSession, person_id: UUID, organisation: Organisations, now: datetime
) -> frozenset[Hand]:
    """Whose word this organisation needs for this person today, on its own calendar."""
    born_on = await db.scalar(select(Persons.born_on).where(Persons.id == person_id))
    day = local_day(now, organisation.timezone)
    return hands_needed(OrganisationKind(organisation.kind), born_on, day)


async def needed_by(
    db: AsyncSession, person_id: UUID, kind: OrganisationKind, now: datetime
) -> frozenset[Hand]:
    """Whose word any organisation of this kind needs for this person today, where they belong."""
    born_on = await db.scalar(select(Persons.born_on).where(Persons.id == person_id))
    return hands_needed(kind, born_on, await today_of(db, person_id, now))
