"""Households: who belongs together follows from guardianships; nothing is kept twice.

A guardian sees the children he is confirmed for and, unless a court limits him, who else guards
them; a child sees its guardians. An administrator sees the guardianships of his organisation's
children, with the papers a limit rests on.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people.administration import require_at
from people.ages import (
    BEFOREHAND,
    GROWN_UP,
    TEEN_DECIDES,
    age_on,
    birthday,
    is_minor,
    local_day,
)
from people.guardian_rights import Scope
from people.guardians import (
    GuardianLimits,
    Guardianships,
    GuardianState,
    HealthShares,
    guards_too,
    halves_of,
    of_organisation,
    state_of,
    zone_of,
)
from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Thing, require
from people.refused import NotFound
from people.relations import Relations

__all__ = ["age_on", "guardians_of", "is_minor"]

_child = aliased(Persons)
_guardian = aliased(Persons)
_SEES = {Kind.CHILD_HEALTH.value: Scope.HEALTH, Kind.CHILD_SCHOOL.value: Scope.SCHOOL}


class Closed(msgspec.Struct, frozen=True):
    """A side of a child's life that a court closed to a guardian."""

    scope: Scope
    until: datetime | None


class Step(msgspec.Struct, frozen=True):
    """An age step that is near: at `age` a guardian's view narrows, on this day."""

    age: int
    on: date


class Relative(msgspec.Struct, frozen=True, kw_only=True):
    """The other side of a guardianship, and what it may see now."""

    tie_id: UUID
    id: UUID
    name: str
    state: GuardianState
    health: bool
    school: bool
    shared_until: datetime | None


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A child as one of its guardians sees it. Before he is confirmed there is no family name."""

    tie_id: UUID
    id: UUID
    name: str
    age: int
    state: GuardianState
    health: bool
    school: bool
    closed: list[Closed]
    step: Step | None
    others: list[Relative]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the person guards and who guards the person; `waiting` for the person's word."""

    children: list[Child]
    guardians: list[Relative]
    minor: bool
    decides: bool
    step: Step | None
    waiting: int


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit with its paper, as administrators see it; `ours` can be lifted here."""

    id: UUID
    scope: Scope
    since: datetime
    until: datetime | None
    paper: str
    organisation: Ref
    ours: bool


class ManagedTie(msgspec.Struct, frozen=True, kw_only=True):
    """A guardianship as an administrator of the child's organisation sees it.

    `to_confirm`: this organisation's side of the child's life is not confirmed yet.
    """

    id: UUID
    child: Ref
    age: int
    guardian: Ref
    state: GuardianState
    to_confirm: bool
    asked_at: datetime
    health: bool
    school: bool
    limits: list[Limit]


class _View(NamedTuple):
    """What the rows around some guardianships say, by guardianship."""

    sees: Mapping[UUID, set[Scope]]
    shared: Mapping[UUID, datetime]
    limits: Mapping[UUID, list[tuple[GuardianLimits, Organisations]]]


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


async def family(db: AsyncSession, actor: Actor, now: datetime) -> Family:
    """Give the actor's household."""
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    me = actor.id
    assert me is not None  # noqa: S101 - require lets nobody else through
    around = or_(Guardianships.guardian_id == me, Guardianships.child_id == me, guards_too(me, now))
    rows = (await db.execute(_ties().where(around, Guardianships.ended_at.is_(None)))).all()
    view = await _view(db, [row.id for row, _, _ in rows], now)
    days = {child.id: await _today(db, child.id, now) for _, child, _ in rows}
    born = {child.id: child.born_on for _, child, _ in rows}
    young = [one for one in rows if is_minor(one[1].born_on, days[one[1].id])]
    children: list[Child] = []
    for row, child, _ in young:
        if row.guardian_id != me or born[child.id] is None:
            continue
        others = [
            _relative(other, guardian, view)
            for other, its_child, guardian in young
            if its_child.id == child.id and guardian.id != me
        ]
        children.append(_of_guardian(row, child, days[child.id], view, others))
    guardians = [_relative(row, who, view) for row, child, who in young if child.id == me]
    person = await db.get_one(Persons, me)
    today = days.get(me) or await _today(db, me, now)
    minor = is_minor(person.born_on, today)
    decides = minor and person.born_on is not None and age_on(person.born_on, today) >= TEEN_DECIDES
    asked = [o for c in children for o in c.others if o.state is GuardianState.ASKED]
    unsaid = [g for g in guardians if g.state is GuardianState.CONFIRMED]
    return Family(
        children=children,
        guardians=guardians,
        minor=minor,
        decides=decides,
        step=_step(person.born_on, today),
        waiting=len(asked) + len(unsaid),
    )


async def get_child(db: AsyncSession, actor: Actor, child_id: UUID, now: datetime) -> Child:
    """Give a child to a guardian who is confirmed for it. Raises NotFound for anybody else."""
    for one in (await family(db, actor, now)).children:
        if one.id == child_id and one.state is GuardianState.LIVE:
            return one
    raise NotFound


async def list_guardianships(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[ManagedTie]:
    """Give the guardianships of the organisation's children, those that wait first.

    Raises NotFound and Forbidden.
    """
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    children = _ties().where(
        of_organisation(organisation_id, now), Guardianships.ended_at.is_(None)
    )
    rows = (await db.execute(children)).all()
    view = await _view(db, [row.id for row, _, _ in rows], now)
    organisation = await db.get_one(Organisations, organisation_id)
    clinic = organisation.kind == OrganisationKind.CLINIC
    here = Scope.HEALTH if clinic else Scope.SCHOOL
    today = local_day(now, organisation.timezone)
    ties = [
        ManagedTie(
            id=row.id,
            child=_ref(child),
            age=age_on(child.born_on, today),
            guardian=_ref(guardian),
            state=state_of(row),
            to_confirm=here not in halves_of(row),
            asked_at=row.asked_at,
            health=Scope.HEALTH in view.sees.get(row.id, ()),
            school=Scope.SCHOOL in view.sees.get(row.id, ()),
            limits=[
                _limit(limit, where, organisation_id)
                for limit, where in view.limits.get(row.id, ())
            ],
        )
        for row, child, guardian in rows
        if child.born_on is not None and is_minor(child.born_on, today)
    ]
    return sorted(ties, key=lambda tie: (tie.state is GuardianState.LIVE, tie.child.name))


def _ties() -> Select[Guardianships, Persons, Persons]:
    return (
        select(Guardianships, _child, _guardian)
        .join(_child, _child.id == Guardianships.child_id)
        .join(_guardian, _guardian.id == Guardianships.guardian_id)
        .order_by(_child.born_on, _child.id, Guardianships.asked_at, Guardianships.id)
    )


async def _view(db: AsyncSession, ids: Sequence[UUID], now: datetime) -> _View:
    sees: dict[UUID, set[Scope]] = {}
    held = select(Relations.about_id, Relations.kind).where(
        Relations.about_id.in_(ids), Relations.kind.in_(_SEES), Relations.live(now)
    )
    for tie_id, kind in (await db.execute(held)).all():
        if tie_id is not None:
            sees.setdefault(tie_id, set()).add(_SEES[kind])
    shares = select(HealthShares.guardianship_id, HealthShares.until).where(
        HealthShares.guardianship_id.in_(ids), HealthShares.since <= now, HealthShares.until > now
    )
    shared = {row.guardianship_id: row.until for row in (await db.execute(shares)).all()}
    limits: dict[UUID, list[tuple[GuardianLimits, Organisations]]] = {}
    closed = (
        select(GuardianLimits, Organisations)
        .join(Organisations, Organisations.id == GuardianLimits.organisation_id)
        .where(GuardianLimits.guardianship_id.in_(ids), GuardianLimits.live(now))
        .order_by(GuardianLimits.since, GuardianLimits.id)
    )
    for limit, where in (await db.execute(closed)).all():
        limits.setdefault(limit.guardianship_id, []).append((limit, where))
    return _View(sees, shared, limits)


async def _today(db: AsyncSession, person_id: UUID, now: datetime) -> date:
    return local_day(now, await zone_of(db, person_id, now))


def _step(born_on: date | None, today: date) -> Step | None:
    """Give the next step that narrows a guardian's view, once it is near."""
    if born_on is None:
        return None
    for age in (TEEN_DECIDES, GROWN_UP):
        on = birthday(born_on, age)
        if today < on <= today + BEFOREHAND:
            return Step(age, on)
    return None


def _of_guardian(
    row: Guardianships, child: Persons, today: date, view: _View, others: list[Relative]
) -> Child:
    state = state_of(row)
    live = state is GuardianState.LIVE
    born_on = child.born_on or today
    closed = view.limits.get(row.id, ())
    return Child(
        tie_id=row.id,
        id=child.id,
        name=full_name(child.given_name, child.family_name) if live else child.given_name,
        age=age_on(born_on, today),
        state=state,
        health=Scope.HEALTH in view.sees.get(row.id, ()),
        school=Scope.SCHOOL in view.sees.get(row.id, ()),
        closed=[Closed(Scope(limit.scope), limit.until) for limit, _ in closed],
        step=_step(born_on, today) if live else None,
        others=others,
    )


def _relative(row: Guardianships, person: Persons, view: _View) -> Relative:
    return Relative(
        tie_id=row.id,
        id=person.id,
        name=full_name(person.given_name, person.family_name),
        state=state_of(row),
        health=Scope.HEALTH in view.sees.get(row.id, ()),
        school=Scope.SCHOOL in view.sees.get(row.id, ()),
        shared_until=view.shared.get(row.id),
    )


def _limit(limit: GuardianLimits, where: Organisations, organisation_id: UUID) -> Limit:
    return Limit(
        id=limit.id,
        scope=Scope(limit.scope),
        since=limit.since,
        until=limit.until,
        paper=limit.paper,
        organisation=Ref(where.id, where.name),
        ours=where.id == organisation_id,
    )


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))
