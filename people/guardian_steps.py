"""The steps of a guardianship: ask, appoint, confirm, agree, end.

Nobody confirms, or limits, a guardianship of his own, whatever other hat he wears. A clinic
confirms for health, a school for school, another guardian for what was confirmed to him.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people import codes
from people.administration import require_at
from people.ages import GROWN_UP, TEEN_DECIDES, TEEN_IS_TOLD, age_on, local_day
from people.cards import shown_card
from people.codes import ShownCode
from people.guardian_rights import Scope
from people.guardians import (
    GuardianLimits,
    GuardianshipOver,
    Guardianships,
    GuardianTooYoung,
    NotAChild,
    acted,
    guards_too,
    halves_of,
    managed,
    rewrite,
    seen,
    state_of,
    zone_of,
)
from people.households import guardians_of
from people.members import belongs, member
from people.notices import notify
from people.organisations import OrganisationKind, Organisations
from people.persons import Persons
from people.policy import Act, Actor, Thing, require
from people.refused import Forbidden, NotFound
from people.relations import Relations
from people.throttle import begin, network_prefix
from storage.engine import new_id


class ChildShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret of a child's card, or the code on its screen."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewGuardian(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who becomes the guardian of whom."""

    guardian_id: UUID
    child_id: UUID


async def ask(db: AsyncSession, actor: Actor, child_id: UUID, now: datetime) -> UUID:
    """Ask to be the guardian of a child whose code or card one holds. Asking twice is asking once.

    Raises NotAChild, GuardianTooYoung.
    """
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    if actor.id is None or actor.id == child_id:
        raise NotAChild
    age = await _age(db, child_id, now)
    born_on = await db.scalar(select(Persons.born_on).where(Persons.id == actor.id))
    if born_on is not None and age_on(born_on, now.date()) < GROWN_UP:
        raise GuardianTooYoung
    row, fresh = await _row(db, actor.id, child_id, now)
    if fresh:
        await acted(db, actor, "guardian_asked", row, now)
        others = await guardians_of(db, child_id, now)
        for person_id in [*others, *([child_id] if age >= TEEN_IS_TOLD else [])]:
            await notify(db, person_id, "guardian_asked", {}, now, about=row.id)
    return row.id


async def show_code(db: AsyncSession, actor: Actor, now: datetime) -> ShownCode:
    """Make the code by which an adult asks to be the guardian of this child. Raises NotAChild."""
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    if actor.id is None:
        raise NotAChild
    await _age(db, actor.id, now)
    return ShownCode(await codes.make(db, actor.id, "guardian", now), now + codes.LIFE)


async def ask_by_code(
    db: AsyncSession, actor: Actor, shown: ChildShown, network: str, now: datetime
) -> UUID:
    """Ask with the child's card or the code on its screen. Raises as ask; CodeRefused."""
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    account = f"code {actor.id}"
    await begin(db, account, network_prefix(network), now, known_here=True)
    card = await shown_card(db, shown.code)
    if card is not None and card.locked_at is None:
        return await ask(db, actor, card.person_id, now)
    code = await codes.take(db, shown.code, "guardian", now, by=actor.id, network=network)
    return await ask(db, actor, code.person_id, now)


async def appoint(
    db: AsyncSession, actor: Actor, organisation_id: UUID, new: NewGuardian, now: datetime
) -> UUID:
    """Ask and confirm in one, as an administrator does with the papers at hand; an import, too.

    Raises NotFound unless the child is of the organisation and the guardian of it, or of none yet;
    Forbidden for one's own child; NotAChild.
    """
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    if new.guardian_id == actor.id:
        raise Forbidden
    child = await member(db, new.child_id, organisation_id, now)
    of_none = ~exists().where(Relations.actor_id == Persons.id, Relations.live(now))
    known = belongs(Persons.id, organisation_id, now) | of_none
    query = select(Persons.id).where(Persons.id == new.guardian_id, known)
    if new.guardian_id == child.id or await db.scalar(query) is None:
        raise NotFound
    row, _ = await _row(db, new.guardian_id, child.id, now)
    await _confirmed(db, actor, row, await _half_of(db, organisation_id), now, organisation_id)
    return row.id


async def confirm(db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime) -> None:
    """Confirm what was asked for, as a guardian of the same child; twice is once.

    Raises NotFound, Forbidden for whoever has no say, GuardianshipOver, NotAChild.
    """
    row = await seen(db, actor, guardianship_id, now)
    halves = await _guards(db, actor, row, now)
    if row.guardian_id == actor.id or not halves:
        raise Forbidden
    await _confirmed(db, actor, row, halves, now)


async def confirm_here(
    db: AsyncSession, actor: Actor, organisation_id: UUID, guardianship_id: UUID, now: datetime
) -> None:
    """Confirm as an administrator of the child's organisation, for its side; twice is once.

    Raises NotFound, Forbidden for one's own, GuardianshipOver, NotAChild.
    """
    row = await managed(db, actor, organisation_id, guardianship_id, now)
    await _confirmed(db, actor, row, await _half_of(db, organisation_id), now, organisation_id)


async def agree(db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime) -> None:
    """Let a confirmed guardian in, as a teen of 15 decides. Agreeing twice is agreeing.

    Raises NotFound, Forbidden for anybody but the teen, GuardianshipOver unless confirmed.
    """
    row = await seen(db, actor, guardianship_id, now)
    if row.child_id != actor.id:
        raise Forbidden
    if row.ended_at is not None or row.confirmed_at is None:
        raise GuardianshipOver(state_of(row))
    if row.live_at is None:
        row.live_at = now
        await acted(db, actor, "guardian_agreed", row, now)
        await rewrite(db, row, now)
        await notify(db, row.guardian_id, "guardian_live", {}, now, about=row.id)


async def end(db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime) -> None:
    """End a guardianship and its rights at once; ending twice is ending.

    The guardian gives up his own; what does not live yet is refused by the teen or by another
    guardian as well. Raises NotFound, Forbidden.
    """
    row = await seen(db, actor, guardianship_id, now)
    own = row.guardian_id == actor.id
    refuses = row.live_at is None and (
        row.child_id == actor.id or await _guards(db, actor, row, now)
    )
    if not (own or refuses):
        raise Forbidden
    await _ended(db, actor, row, now)


async def end_here(
    db: AsyncSession, actor: Actor, organisation_id: UUID, guardianship_id: UUID, now: datetime
) -> None:
    """End as an administrator of the child's organisation, with the paper at hand.

    Raises NotFound, Forbidden for one's own.
    """
    row = await managed(db, actor, organisation_id, guardianship_id, now)
    await _ended(db, actor, row, now, organisation_id)


async def _ended(
    db: AsyncSession,
    actor: Actor,
    row: Guardianships,
    now: datetime,
    organisation_id: UUID | None = None,
) -> None:
    if row.ended_at is not None:
        return
    row.ended_at, row.ended_by_id = now, actor.id
    await acted(db, actor, "guardian_ended", row, now, organisation_id)
    await rewrite(db, row, now)
    if row.guardian_id != actor.id:
        await notify(db, row.guardian_id, "guardian_ended", {}, now, about=row.id)


async def _row(
    db: AsyncSession, guardian_id: UUID, child_id: UUID, now: datetime
) -> tuple[Guardianships, bool]:
    """Give the pair's row that is not over, locked, and whether it is new."""
    new = {"id": new_id(), "guardian_id": guardian_id, "child_id": child_id, "asked_at": now}
    new |= {scope.value: False for scope in Scope}
    done = await db.execute(
        insert(Guardianships)
        .values(new)
        .on_conflict_do_nothing(
            index_elements=["guardian_id", "child_id"],
            index_where=Guardianships.ended_at.is_(None),
        )
        .returning(Guardianships.id)
    )
    fresh = done.scalar_one_or_none() is not None
    query = (
        select(Guardianships)
        .where(
            Guardianships.guardian_id == guardian_id,
            Guardianships.child_id == child_id,
            Guardianships.ended_at.is_(None),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = (await db.scalars(query)).one()
    if fresh:
        await _keep_limits(db, row, now)
    return row, fresh


async def _keep_limits(db: AsyncSession, row: Guardianships, now: datetime) -> None:
    """Hang on a new guardianship what a court closed to the pair: no asking anew sheds it."""
    before = select(Guardianships.id).where(
        Guardianships.guardian_id == row.guardian_id,
        Guardianships.child_id == row.child_id,
        Guardianships.id != row.id,
    )
    holds = or_(GuardianLimits.until.is_(None), GuardianLimits.until > now)
    await db.execute(
        update(GuardianLimits)
        .where(
            GuardianLimits.guardianship_id.in_(before), GuardianLimits.lifted_at.is_(None), holds
        )
        .values(guardianship_id=row.id)
    )


async def _confirmed(  # noqa: PLR0917 - who, what, for which side, when, where
    db: AsyncSession,
    actor: Actor,
    row: Guardianships,
    halves: frozenset[Scope],
    now: datetime,
    organisation_id: UUID | None = None,
) -> None:
    """Write the confirmation of these sides once; below 15 the guardianship lives at once."""
    if row.ended_at is not None:
        raise GuardianshipOver(state_of(row))
    age = await _age(db, row.child_id, now)
    first = row.confirmed_at is None
    if halves <= halves_of(row):
        return
    row.health, row.school = (s in halves | halves_of(row) for s in (Scope.HEALTH, Scope.SCHOOL))
    others = await guardians_of(db, row.child_id, now)
    if first:
        row.confirmed_at, row.confirmed_by_id = now, actor.id
        row.live_at = now if age < TEEN_DECIDES else None
    await acted(db, actor, "guardian_confirmed", row, now, organisation_id)
    await rewrite(db, row, now)
    for person_id in {*others} - {row.guardian_id, actor.id}:
        await notify(db, person_id, "guardian_joined", {}, now, critical=True, about=row.id)
    if not first:
        return
    told = "guardian_live" if row.live_at is not None else "guardian_waits_for_teen"
    await notify(db, row.guardian_id, told, {}, now, about=row.id)
    if age >= TEEN_DECIDES:
        await notify(db, row.child_id, "guardian_agree", {}, now, about=row.id)
    elif age >= TEEN_IS_TOLD:
        await notify(db, row.child_id, "guardian_new", {}, now, about=row.id)


async def _half_of(db: AsyncSession, organisation_id: UUID) -> frozenset[Scope]:
    """Give the side of a child's life that an organisation opens."""
    clinic = (await db.get_one(Organisations, organisation_id)).kind == OrganisationKind.CLINIC
    return frozenset({Scope.HEALTH if clinic else Scope.SCHOOL})


async def _guards(
    db: AsyncSession, actor: Actor, row: Guardianships, now: datetime
) -> frozenset[Scope]:
    """Give what was confirmed to the actor as another guardian whom no court limits, or nothing."""
    if actor.id is None:
        return frozenset()
    query = select(Guardianships.id).where(Guardianships.id == row.id, guards_too(actor.id, now))
    if await db.scalar(query) is None:
        return frozenset()
    own = select(Guardianships).where(
        Guardianships.guardian_id == actor.id,
        Guardianships.child_id == row.child_id,
        Guardianships.live_at.is_not(None),
        Guardianships.ended_at.is_(None),
    )
    return halves_of((await db.scalars(own)).one())


async def _age(db: AsyncSession, child_id: UUID, now: datetime) -> int:
    """Give the age of a child today where it belongs. Raises NotAChild."""
    born_on = await db.scalar(select(Persons.born_on).where(Persons.id == child_id))
    if born_on is None:
        raise NotAChild
    age = age_on(born_on, local_day(now, await zone_of(db, child_id, now)))
    if age >= GROWN_UP:
        raise NotAChild
    return age
