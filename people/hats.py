"""Hats in one's own organisation: given and taken by its administrator, each with a trace.

A hat is a right of its own: taking one leaves the others. Somebody who is let go loses every right
here at once; who belongs nowhere else, and is nobody's guardian, has a closed account from then on
and cannot sign in.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.cards import revoke_cards_of
from people.closed_accounts import close_account, open_account
from people.facts import RightsChanged, emit
from people.links import end_links_of
from people.members import is_staff
from people.organisations import OrganisationKind, Organisations
from people.policy import Act, Kind, Right, Thing
from people.refused import NotFound, Refused
from people.relations import Relations, grant, unended_rights
from people.roster import RosterEntries, enter
from people.sessions import Caller, end_sessions_of
from people.step_up import require_fresh

SOURCE = "administrator"
STAFF_KINDS = frozenset({Kind.DUTY, Kind.CLERKSHIP, Kind.ADMINISTRATION})


class Hat(StrEnum):
    """What an administrator gives and takes; a pupil's hat comes with the class."""

    DUTY = "duty"  # doctor or teacher, as the organisation is
    CLERKSHIP = "clerkship"
    ADMINISTRATION = "administration"
    ATTACHMENT = "attachment"


class Whose(msgspec.Struct, frozen=True):
    """A person in an organisation."""

    organisation_id: UUID
    person_id: UUID

    @property
    def thing(self) -> Thing:
        """As the audit keeps it."""
        return Thing(subject_id=self.person_id, organisation_id=self.organisation_id)


class LastAdministrator(Refused):
    """Without this one nobody could administer the organisation any more."""

    status = 409
    code = "last_administrator"


class HatNotHere(Refused):
    """A school has no patients."""

    status = 422
    code = "hat_not_here"


class LetGo(Refused):
    """Whoever was let go is taken back before a hat is given."""

    status = 409
    code = "let_go"


async def give_hat(
    db: AsyncSession,
    caller: Caller,
    whose: Whose,
    hat: Hat,
    now: datetime,
) -> None:
    """Give a hat; giving it twice is giving it. Raises NotFound, Forbidden, StepUpNeeded."""
    organisation = await _locked(db, caller, whose.organisation_id, now)
    await _here(db, whose.organisation_id, whose.person_id, now)
    if hat is Hat.ATTACHMENT and organisation.kind != OrganisationKind.CLINIC:
        raise HatNotHere
    entry = await db.get(RosterEntries, (whose.organisation_id, whose.person_id))
    if entry is not None and entry.until is not None:
        raise LetGo
    right = Right(
        actor_id=whose.person_id,
        kind=Kind(hat.value),
        organisation_id=whose.organisation_id,
        since=now,
    )
    was_staff = await db.scalar(select(is_staff(whose.person_id, now))) or False
    await grant(db, right, SOURCE)
    await proper_staff(db, whose.person_id, right.kind, was_staff=was_staff, now=now)
    await enter(db, whose.organisation_id, whose.person_id, now)
    await _changed(db, caller, whose, "give_hat", now, hat=hat)


async def take_hat(
    db: AsyncSession,
    caller: Caller,
    whose: Whose,
    hat: Hat,
    now: datetime,
) -> None:
    """Take a hat; taking what is not worn is nothing. Raises LastAdministrator."""
    await _locked(db, caller, whose.organisation_id, now)
    await _here(db, whose.organisation_id, whose.person_id, now)
    if hat is Hat.ADMINISTRATION:
        await _keep_an_administrator(db, whose)
    # Still of the organisation, though without this hat.
    await enter_if_absent(db, whose.organisation_id, whose.person_id, now)
    await _end(db, whose.person_id, now, _at(whose.organisation_id), Relations.kind == hat.value)
    await _changed(db, caller, whose, "take_hat", now, hat=hat)


async def let_go(db: AsyncSession, caller: Caller, whose: Whose, now: datetime) -> None:
    """End every right and card of a person here, and every session; see the module."""
    await _locked(db, caller, whose.organisation_id, now)
    await _here(db, whose.organisation_id, whose.person_id, now)
    await _keep_an_administrator(db, whose)
    entry = await enter(db, whose.organisation_id, whose.person_id, now)
    entry.until = now
    # A visit that is held, a lesson that is taught: ended as well, they hang on being here.
    await _end(db, whose.person_id, now, _at(whose.organisation_id))
    if not await _belongs_elsewhere(db, whose.organisation_id, whose.person_id, now):
        await close_account(db, whose.person_id, whose.organisation_id, now)
    await revoke_cards_of(db, whose.person_id, now, by=caller.person_id, at=whose.organisation_id)
    await end_links_of(db, whose.person_id, now)
    await end_sessions_of(db, whose.person_id, now)
    await _changed(db, caller, whose, "let_go", now)


async def take_back(db: AsyncSession, caller: Caller, whose: Whose, now: datetime) -> None:
    """Take a person back who was let go: without hats, those are given anew."""
    await _locked(db, caller, whose.organisation_id, now)
    await _here(db, whose.organisation_id, whose.person_id, now)
    await enter(db, whose.organisation_id, whose.person_id, now)
    await open_account(db, whose.person_id)
    await _changed(db, caller, whose, "take_back", now)


async def proper_staff(
    db: AsyncSession, person_id: UUID, kind: Kind, *, was_staff: bool, now: datetime
) -> None:
    """End the sessions, cards and links of somebody who becomes staff.

    Staff come in by password and second factor; a session of a card must not grow into one.
    """
    if kind in STAFF_KINDS and not was_staff:
        await revoke_cards_of(db, person_id, now)
        await end_links_of(db, person_id, now)
        await end_sessions_of(db, person_id, now)


async def enter_if_absent(
    db: AsyncSession, organisation_id: UUID, person_id: UUID, now: datetime
) -> None:
    """Put somebody on the list who was here by rights alone; who was let go stays so."""
    if await db.get(RosterEntries, (organisation_id, person_id)) is None:
        await enter(db, organisation_id, person_id, now)


async def _locked(
    db: AsyncSession, caller: Caller, organisation_id: UUID, now: datetime
) -> Organisations:
    """One change of hats at a time: two last administrators must not take each other's.

    Whoever stood in line is judged anew by what was done meanwhile.
    """
    require_at(caller.actor, Act.MANAGE_PEOPLE, organisation_id, now)
    require_fresh(caller, now)
    query = (
        select(Organisations)
        .where(Organisations.id == organisation_id)
        .with_for_update(key_share=True)
    )
    found = await db.scalar(query)
    if found is None:
        raise NotFound
    as_it_is = await unended_rights(db, caller.person_id, now)
    require_at(as_it_is, Act.MANAGE_PEOPLE, organisation_id, now)
    return found


async def _here(db: AsyncSession, organisation_id: UUID, person_id: UUID, now: datetime) -> None:
    """Raise NotFound for whoever never belonged to the organisation."""
    listed = select(RosterEntries.person_id).where(
        RosterEntries.organisation_id == organisation_id, RosterEntries.person_id == person_id
    )
    held = select(Relations.actor_id).where(
        Relations.actor_id == person_id, _at(organisation_id), Relations.live(now)
    )
    if await db.scalar(listed.union(held).limit(1)) is None:
        raise NotFound


async def _keep_an_administrator(db: AsyncSession, whose: Whose) -> None:
    # Not `live`: what another took while we stood in line may end later than our `now`.
    administers = and_(
        _at(whose.organisation_id),
        Relations.kind == Kind.ADMINISTRATION.value,
        Relations.until.is_(None),
    )
    held = set((await db.scalars(select(Relations.actor_id).where(administers))).all())
    if held == {whose.person_id}:
        raise LastAdministrator


async def _belongs_elsewhere(
    db: AsyncSession, organisation_id: UUID, person_id: UUID, now: datetime
) -> bool:
    held = select(Relations.actor_id).where(
        Relations.actor_id == person_id,
        or_(
            Relations.organisation_id != organisation_id,
            Relations.kind == Kind.GUARDIANSHIP.value,
        ),
        Relations.live(now),
    )
    listed = select(RosterEntries.person_id).where(
        RosterEntries.person_id == person_id,
        RosterEntries.organisation_id != organisation_id,
        RosterEntries.live(now),
    )
    return await db.scalar(held.union(listed).limit(1)) is not None


async def _end(
    db: AsyncSession, person_id: UUID, now: datetime, *which: ColumnElement[bool]
) -> None:
    await db.execute(
        update(Relations)
        .where(Relations.actor_id == person_id, Relations.live(now), *which)
        .values(until=now)
        .execution_options(synchronize_session=False)
    )


def _at(organisation_id: UUID) -> ColumnElement[bool]:
    return Relations.organisation_id == organisation_id


async def _changed(
    db: AsyncSession,
    caller: Caller,
    whose: Whose,
    act: str,
    now: datetime,
    *,
    hat: Hat | None = None,
) -> None:
    details = {"hat": hat.value} if hat else None
    await audit.acted(db, caller.actor.id, act, whose.thing, now, details=details)
    emit(db, RightsChanged(at=now, person_id=whose.person_id))
