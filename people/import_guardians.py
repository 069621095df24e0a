"""Guardians out of a list: each is proposed, and opens nothing until somebody confirms it.

A list names guardians by their numbers, in the row of the child. A number that stands for nobody,
a guardian who is a child and a child who has no guardian make the child's row a bad one. Who
guards already is not proposed again, and neither is whose guardianship was ended.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.ages import GROWN_UP, TEEN_IS_TOLD, age_on
from people.audit import Done
from people.guardians import Guardianships
from people.import_plan import Member, Step
from people.notices import notify
from people.policy import Actor, Kind, Thing
from people.relations import Relations
from people.roster_rows import BadRow, RosterRole
from storage.engine import new_id

_AT_ONCE = 1000


class Proposed(NamedTuple):
    """Places of two steps in a list, or who is here already, and the child's birth."""

    guardian: int | UUID
    child: int
    born_on: date


def guardians_in(
    steps: Sequence[Step], members: Collection[Member], today: date
) -> tuple[list[Step], list[Proposed], list[BadRow]]:
    """Leave out children whose guardians are in doubt, and say who guards whom. Pure.

    Rows that are left out guard nobody: a guardian who is a child makes a row bad.
    """
    faults = _Faults(steps, members, today)
    good: list[Step] = []
    bad: list[BadRow] = []
    for step in steps:
        fault = next(filter(None, (faults.of(step, one) for one in step.row.guardians)), None)
        if fault is None:
            good.append(step)
        else:
            bad.append(BadRow(step.row.file, step.row.line, *fault))
    at = {step.row.source_id: place for place, step in enumerate(good)}
    found = []
    for place, step in enumerate(good):
        born_on = _born(step)
        for number in step.row.guardians if born_on is not None else ():
            guardian = at[number] if number in at else faults.known[number].id
            found.append(Proposed(guardian, place, born_on or today))
    return good, found, bad


class _Faults:
    """What speaks against one guardian of one child."""

    def __init__(self, steps: Sequence[Step], members: Collection[Member], today: date) -> None:
        self.known = {one.source_id: one for one in members if one.source_id and not one.gone}
        self._listed = {s.row.source_id: s for s in steps if s.row.source_id is not None}
        self._today = today

    def of(self, step: Step, number: str) -> tuple[str, str] | None:
        """Field and code, or None."""
        born_on = _born(step)
        if born_on is None:
            return ("born_on", "birth_for_guardian")
        if age_on(born_on, self._today) >= GROWN_UP:
            return ("guardians", "guardian_of_no_child")
        listed, here = self._listed.get(number), self.known.get(number)
        if (listed is None and here is None) or listed is step:
            return ("guardians", "guardian_unknown")
        born_on = _born(listed) if listed else here.born_on if here else None
        young = born_on is not None and age_on(born_on, self._today) < GROWN_UP
        # By the list itself a pupil, or somebody who has guardians, is no guardian.
        ward = listed is not None and (
            RosterRole.PUPIL in listed.row.roles or bool(listed.row.guardians)
        )
        return ("guardians", "guardian_too_young") if ward or young else None


def _born(step: Step) -> date | None:
    return step.row.born_on or (step.member.born_on if step.member else None)


async def unproposed(
    db: AsyncSession, steps: Sequence[Step], found: Sequence[Proposed]
) -> list[Proposed]:
    """Leave out the pairs that were guardian and child before, or are now."""
    known = {at: s.member.id for at, s in enumerate(steps) if s.member is not None}
    children = {known[one.child] for one in found if one.child in known}
    query = select(Guardianships.guardian_id, Guardianships.child_id).where(
        Guardianships.child_id.in_(children)
    )
    there = {(guardian, child) for guardian, child in (await db.execute(query)).all()}
    return [one for one in found if (_id(one.guardian, known), known.get(one.child)) not in there]


def _id(whom: int | UUID, ids: Mapping[int, UUID]) -> UUID | None:
    return whom if isinstance(whom, UUID) else ids.get(whom)


async def propose(  # noqa: PLR0917 - who, where, and what of which list
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    ids: Sequence[UUID],
    found: Sequence[Proposed],
    now: datetime,
) -> None:
    """Write guardianships as asked for; whoever has a say already is told, as when one asks.

    `ids`: of the people of the steps, in their order.
    """
    ties = [
        (
            new_id(),
            one.guardian if isinstance(one.guardian, UUID) else ids[one.guardian],
            ids[one.child],
        )
        for one in found
    ]
    rows = [
        {
            "id": tie_id,
            "guardian_id": guardian,
            "child_id": child,
            "asked_at": now,
            "health": False,
            "school": False,
        }
        for tie_id, guardian, child in ties
    ]
    # Somebody may ask by a child's code in this very moment.
    new = insert(Guardianships).on_conflict_do_nothing(
        index_elements=["guardian_id", "child_id"],
        index_where=Guardianships.ended_at.is_(None),
    )
    for at in range(0, len(rows), _AT_ONCE):
        await db.execute(new, rows[at : at + _AT_ONCE])
    acts = [
        Done(
            "guardian_asked",
            Thing(subject_id=child, organisation_id=organisation_id, about=(tie_id,)),
        )
        for tie_id, _, child in ties
    ]
    await audit.acted_often(db, actor.id, acts, now)
    guarded = await _guarded(db, {child for _, _, child in ties}, now)
    for one, (tie_id, guardian, child) in zip(found, ties, strict=True):
        teen = age_on(one.born_on, now.date()) >= TEEN_IS_TOLD
        told = guarded.get(child, set()) | ({child} if teen else set())
        for person_id in told - {guardian}:
            await notify(db, person_id, "guardian_asked", {}, now, about=tie_id)


async def _guarded(
    db: AsyncSession, children: Collection[UUID], now: datetime
) -> dict[UUID, set[UUID]]:
    """Child → who guards it now."""
    query = select(Relations.subject_id, Relations.actor_id).where(
        Relations.subject_id.in_(children),
        Relations.kind == Kind.GUARDIANSHIP.value,
        Relations.live(now),
    )
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for child, guardian in (await db.execute(query)).all():
        if child is not None:
            found[child].add(guardian)
    return found
