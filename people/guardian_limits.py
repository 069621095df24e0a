"""What narrows and widens a guardian's view: a court's limit, a teen's share of health.

A limit is set by an administrator of an organisation of the child, with the number of its paper,
and lifted only in the organisation that set it. A share is the teen's alone, from 15 to 18.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.guardian_rights import Scope
from people.guardians import (
    GuardianLimits,
    GuardianshipOver,
    Guardianships,
    HealthShares,
    acted,
    managed,
    rewrite,
    say_of,
    seen,
    state_of,
)
from people.notices import notify
from people.policy import Actor
from people.refused import FieldError, Forbidden, Refused
from storage.engine import new_id

LONGEST_SHARE = timedelta(days=366)


class NewLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is closed to a guardian; without an end until it is lifted."""

    scope: Scope
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    paper: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class NewShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until when a teen shows health to a guardian."""

    until: Annotated[datetime, msgspec.Meta(tz=True)]


class BadTime(Refused):
    """A time that lies before now, or further ahead than is allowed; the field is named."""

    status = 422
    code = "bad_time"


class NotYours(Refused):
    """The child does not decide about health alone yet."""

    status = 409
    code = "not_decided_alone"


async def set_limit(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    guardianship_id: UUID,
    *,
    new: NewLimit,
    now: datetime,
) -> UUID:
    """Close a side of a child's life to a guardian, from now on; what he has open ends at once.

    Raises NotFound, Forbidden for one's own, GuardianshipOver, BadTime.
    """
    row = await managed(db, actor, organisation_id, guardianship_id, now)
    if row.ended_at is not None:
        raise GuardianshipOver(state_of(row))
    if new.until is not None and new.until <= now:
        raise BadTime((FieldError("until", "in_the_past"),))
    limit = GuardianLimits(
        id=new_id(),
        guardianship_id=row.id,
        organisation_id=organisation_id,
        scope=new.scope.value,
        since=now,
        until=new.until,
        paper=new.paper.strip(),
        set_by_id=actor.id,
    )
    db.add(limit)
    await acted(db, actor, "guardian_limited", row, now, organisation_id)
    await rewrite(db, row, now)
    await notify(db, row.guardian_id, f"guardian_limited_{new.scope}", {}, now, about=row.id)
    return limit.id


async def lift_limit(
    db: AsyncSession, actor: Actor, organisation_id: UUID, limit_id: UUID, now: datetime
) -> None:
    """Open again what this organisation closed; lifting twice is lifting.

    Raises NotFound for a limit of another organisation, Forbidden for one's own.
    """
    query = select(GuardianLimits.guardianship_id).where(
        GuardianLimits.id == limit_id, GuardianLimits.organisation_id == organisation_id
    )
    found = await db.scalar(query)
    row = await managed(db, actor, organisation_id, found, now)
    lifted = await db.scalar(
        update(GuardianLimits)
        .where(GuardianLimits.id == limit_id, GuardianLimits.lifted_at.is_(None))
        .values(lifted_at=now, lifted_by_id=actor.id)
        .returning(GuardianLimits.id)
    )
    if lifted is not None:
        await acted(db, actor, "guardian_limit_lifted", row, now, organisation_id)
        await rewrite(db, row, now)


async def share_health(
    db: AsyncSession, actor: Actor, guardianship_id: UUID, new: NewShare, now: datetime
) -> None:
    """Show one's health to a guardian until a time; a new share takes the place of the last.

    Raises NotFound, Forbidden for anybody but the child, NotYours below 15, GuardianshipOver,
    BadTime.
    """
    row = await _of_child(db, actor, guardianship_id, now)
    if not now < new.until <= now + LONGEST_SHARE:
        raise BadTime((FieldError("until", "out_of_range"),))
    await _end_shares(db, row, now)
    db.add(HealthShares(guardianship_id=row.id, since=now, until=new.until))
    await acted(db, actor, "health_shared", row, now)
    await rewrite(db, row, now)
    until = new.until.isoformat()
    await notify(db, row.guardian_id, "health_shared", {"until_at": until}, now, about=row.id)


async def end_share(db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime) -> None:
    """Show one's health to a guardian no more; ending twice is ending. Raises as share_health."""
    row = await _of_child(db, actor, guardianship_id, now)
    if await _end_shares(db, row, now):
        await acted(db, actor, "health_share_ended", row, now)
        await rewrite(db, row, now)


async def _of_child(
    db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime
) -> Guardianships:
    """Give the locked row to the teen it is about, who decides alone."""
    row = await seen(db, actor, guardianship_id, now)
    if row.child_id != actor.id:
        raise Forbidden
    if row.ended_at is not None or row.live_at is None:
        raise GuardianshipOver(state_of(row))
    if now < (await say_of(db, row, now)).decides_at:
        raise NotYours
    return row


async def _end_shares(db: AsyncSession, row: Guardianships, now: datetime) -> bool:
    ended = await db.scalars(
        update(HealthShares)
        .where(HealthShares.guardianship_id == row.id, HealthShares.until > now)
        .values(until=now)
        .returning(HealthShares.id)
    )
    return bool(ended.all())
