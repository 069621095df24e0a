"""A second factor that is lost: somebody who may takes it away, and the person makes another.

The password stays, every session ends, the person is told at once. Together with a one-time link
it lets in whoever holds both: so an organisation does it only for people of its own who work
nowhere else. For anybody else, and for the last administrator, there is the machine's operator.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import passkeys, recovery_codes, totp
from people.administration import require_at
from people.audit import acted
from people.hats import Whose
from people.links import StaffElsewhere, make_link
from people.members import member, works_elsewhere
from people.notices import notify
from people.passwords import Credentials, folded
from people.policy import Act, Thing
from people.refused import Forbidden, NotFound
from people.relations import Relations
from people.roster import RosterEntries
from people.sessions import Caller, end_sessions_of
from people.step_up import require_fresh


async def reset_factors(db: AsyncSession, caller: Caller, whose: Whose, now: datetime) -> None:
    """Take away every second factor of a person of the organisation, but not one's own.

    Raises NotFound, Forbidden, StepUpNeeded, StaffElsewhere.
    """
    require_at(caller.actor, Act.MANAGE_PEOPLE, whose.organisation_id, now)
    require_fresh(caller, now)
    person = await member(db, whose.person_id, whose.organisation_id, now)
    if person.id == caller.person_id:
        raise Forbidden(Act.MANAGE_PEOPLE, whose.thing, caller.actor.id)
    if await db.scalar(select(works_elsewhere(person.id, whose.organisation_id, now))):
        raise StaffElsewhere
    await _forget(db, person.id, whose.thing, now, by=caller.actor.id)


async def reset_on_the_machine(db: AsyncSession, login: str, now: datetime) -> str | None:
    """Take away every second factor of a login's person, and give the secret of a one-time link.

    For the operator alone. None in place of the link for who belongs to no organisation. Raises
    NotFound.
    """
    own = select(Credentials.person_id).where(Credentials.login == folded(login))
    person_id = await db.scalar(own)
    if person_id is None:
        raise NotFound
    await _forget(db, person_id, Thing(subject_id=person_id), now, by=None)
    held = select(Relations.organisation_id).where(
        Relations.actor_id == person_id,
        Relations.organisation_id.is_not(None),
        Relations.live(now),
    )
    listed = select(RosterEntries.organisation_id).where(
        RosterEntries.person_id == person_id, RosterEntries.live(now)
    )
    place = await db.scalar(held.union(listed).limit(1))
    if place is None:
        return None
    return (await make_link(db, person_id, place, now, by=None))[0]


async def _forget(
    db: AsyncSession, person_id: UUID, thing: Thing, now: datetime, *, by: UUID | None
) -> None:
    await totp.forget(db, person_id)
    await passkeys.forget(db, person_id)
    await recovery_codes.forget(db, person_id)
    await end_sessions_of(db, person_id, now)
    await acted(db, by, "factors_reset", thing, now)
    await notify(db, person_id, "factors_reset", {}, now, critical=True)
