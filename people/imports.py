"""Lists of people brought into an organisation: looked at first, stored whole, nothing twice.

A person of a list is known again by the number the list gives (`source_id`, one in its
organisation), else by name and date of birth. Where that is not enough to tell, nobody is made:
the row is reported as a possible double. Looking at a list writes nothing; storing it is one
transaction. A list gives hats and never takes one away.
"""

import asyncio
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Date, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people import audit
from people.administration import require_at
from people.audit import Done
from people.facts import RightsChanged, emit
from people.hats import proper_staff
from people.import_guardians import guardians_in, propose, unproposed
from people.import_plan import ROLES_OF, Member, Step, plan
from people.members import is_staff
from people.organisations import OrganisationKind, Organisations
from people.persons import Language, Persons
from people.policy import Act, Actor, Right, Thing
from people.refused import FieldError, NotFound, Refused
from people.relations import Relations, grant_all
from people.roster import RosterEntries
from people.roster_files import Encoding
from people.roster_rows import BadRow, Roster, RosterRole, RosterRow, one_row
from storage.engine import insert_many, new_id

SOURCE: Final = "list"
# An answer shows so many bad rows; it counts them all.
_SHOWN = 500
_SHOWN_IN_PROBLEM = 50


Mode = Literal["look", "whole", "skip"]


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a list would do (`stored` is False) or has done. Many `bad` rows are not all shown."""

    stored: bool
    encoding: Encoding
    rows: int
    new: int
    same: int
    changed: int
    left_out: int
    bad_count: int
    bad: list[BadRow]
    classes: list[str]
    guardians: int  # proposed by the list: each waits for somebody to confirm it


class ImportHasBadRows(Refused):
    """All or nothing was asked for, and a row is bad: nothing is stored."""

    status = 422
    code = "import_has_bad_rows"

    def __init__(self, bad: list[BadRow]) -> None:
        errors = (FieldError(f"{r.file}:{r.line}:{r.field}", r.code) for r in bad)
        super().__init__(tuple(errors)[:_SHOWN_IN_PROBLEM], count=len(bad))


class Seat(msgspec.Struct, frozen=True):
    """A pupil of a list and the classes it names; classes are made by eschool."""

    person_id: UUID
    classes: tuple[str, ...]


async def local_today(db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime) -> date:
    """Date at the organisation, for its administrator. Raises NotFound, Forbidden."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    query = select(cast(func.timezone(Organisations.timezone, now), Date)).where(
        Organisations.id == organisation_id
    )
    found = await db.scalar(query)
    if found is None:
        raise NotFound
    return found


async def import_people(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    roster: Roster,
    now: datetime,
    *,
    mode: Mode,
) -> tuple[ImportReport, list[Seat]]:
    """Look at a list or store it; the seats are for eschool. Raises ImportHasBadRows."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    kind = await _locked_kind(db, organisation_id)
    members = await _members(db, organisation_id, now)
    # Many rows are held against many people: nobody else's request waits for that.
    steps, bad = await asyncio.to_thread(plan, roster.rows, members, kind)
    today = await local_today(db, actor, organisation_id, now)
    steps, found, more = guardians_in(steps, members, today)
    found = await unproposed(db, steps, found)
    bad = sorted([*roster.bad, *bad, *more], key=lambda row: (row.file, row.line))
    if mode == "whole" and bad:
        raise ImportHasBadRows(bad)
    report = ImportReport(
        stored=mode != "look",
        encoding=roster.encoding,
        rows=len(roster.rows) + len(roster.bad),
        new=sum(step.member is None for step in steps),
        same=sum(step.member is not None and not step.changes for step in steps),
        changed=sum(step.changes for step in steps),
        left_out=roster.left_out,
        bad_count=len(bad),
        bad=bad[:_SHOWN],
        classes=sorted({name for step in steps for name in step.row.classes}),
        guardians=len(found),
    )
    if mode == "look":
        return report, []
    ids, seats = await _store(db, (actor, organisation_id, kind), steps, now, by=SOURCE)
    await propose(db, actor, organisation_id, ids, found, now)
    thing = Thing(organisation_id=organisation_id)
    details = {"new": str(report.new), "changed": str(report.changed), "bad": str(len(bad))}
    await audit.acted(db, actor.id, "import_people", thing, now, details=details)
    return report, seats


async def _locked_kind(db: AsyncSession, organisation_id: UUID) -> OrganisationKind:
    """One list at a time; who writes rows about this organisation is not held up."""
    query = (
        select(Organisations.kind)
        .where(Organisations.id == organisation_id)
        .with_for_update(key_share=True)
    )
    kind = await db.scalar(query)
    if kind is None:
        raise NotFound
    return OrganisationKind(kind)


async def _members(db: AsyncSession, organisation_id: UUID, now: datetime) -> list[Member]:
    here = (
        select(Relations.actor_id)
        .where(Relations.organisation_id == organisation_id, Relations.live(now))
        .union(
            select(RosterEntries.person_id).where(RosterEntries.organisation_id == organisation_id)
        )
    )
    there = (
        select(Relations.id)
        .where(
            Relations.actor_id == Persons.id,
            Relations.organisation_id != organisation_id,
            Relations.live(now),
        )
        .exists()
    )
    listed_there = (
        select(RosterEntries.person_id)
        .where(
            RosterEntries.person_id == Persons.id,
            RosterEntries.organisation_id != organisation_id,
            RosterEntries.live(now),
        )
        .exists()
    )
    entry = aliased(RosterEntries)
    query = (
        select(
            Persons.id,
            Persons.given_name,
            Persons.family_name,
            Persons.born_on,
            entry.source_id,
            there | listed_there,
            entry.until.is_not(None),
            is_staff(Persons.id, now),
        )
        .outerjoin(
            entry, (entry.person_id == Persons.id) & (entry.organisation_id == organisation_id)
        )
        .where(Persons.id.in_(here))
        .order_by(Persons.id)
    )
    return [
        Member(
            id=person_id,
            given_name=given_name,
            family_name=family_name,
            born_on=born_on,
            source_id=source_id,
            elsewhere=elsewhere,
            gone=gone,
            staff=staff,
        )
        for person_id, given_name, family_name, born_on, source_id, elsewhere, gone, staff in (
            await db.execute(query)
        ).all()
    ]


async def _store(
    db: AsyncSession,
    where: tuple[Actor, UUID, OrganisationKind],
    steps: list[Step],
    now: datetime,
    *,
    by: Literal["list", "hand"],
) -> tuple[list[UUID], list[Seat]]:
    actor, organisation_id, kind = where
    ids = [new_id() if step.member is None else step.member.id for step in steps]
    both = list(zip(ids, steps, strict=True))
    await insert_many(db, Persons, [_person(i, s.row, now) for i, s in both if s.member is None])
    for person_id, step in both:
        if step.rewrites:
            await _rewrite(db, person_id, step.row)
    here = select(RosterEntries.person_id).where(RosterEntries.organisation_id == organisation_id)
    entered = set((await db.scalars(here)).all())
    entries = [
        {
            "organisation_id": organisation_id,
            "person_id": person_id,
            "source_id": step.row.source_id,
            "since": now,
            "until": None,
        }
        for person_id, step in both
        if person_id not in entered
    ]
    await insert_many(db, RosterEntries, entries)
    for person_id, step in both:
        if step.numbers and person_id in entered:
            entry = await db.get_one(RosterEntries, (organisation_id, person_id))
            entry.source_id = step.row.source_id
    await db.flush()
    rights = [
        Right(actor_id=person_id, kind=hat, organisation_id=organisation_id, since=now)
        for person_id, step in both
        for hat in (ROLES_OF[kind][role] for role in step.row.roles)
        if hat is not None
    ]
    given = await grant_all(db, rights, SOURCE)
    known = {step.member.id: step.member for step in steps if step.member is not None}
    for right in given:
        one = known.get(right.actor_id)  # nobody new has a session, or sits in a room
        if one is not None:
            await proper_staff(db, one.id, right.kind, was_staff=one.staff, now=now)
            emit(db, RightsChanged(at=now, person_id=one.id))
    rewritten = [
        Done("rewrite_person", _of(i, organisation_id), {"by": by}) for i, s in both if s.rewrites
    ]
    hats = [
        Done("give_hat", _of(right.actor_id, organisation_id), {"hat": right.kind.value, "by": by})
        for right in given
    ]
    await audit.acted_often(db, actor.id, [*rewritten, *hats], now)
    seats = [Seat(person_id, step.row.classes) for person_id, step in both if step.row.classes]
    return ids, seats


def _of(person_id: UUID, organisation_id: UUID) -> Thing:
    return Thing(subject_id=person_id, organisation_id=organisation_id)


def _person(person_id: UUID, row: RosterRow, now: datetime) -> dict[str, Any]:
    return {
        "id": person_id,
        "given_name": row.given_name,
        "family_name": row.family_name,
        "born_on": row.born_on,
        "language": row.language,
        "created_at": now,
    }


async def _rewrite(db: AsyncSession, person_id: UUID, row: RosterRow) -> None:
    person = await db.get_one(Persons, person_id)
    person.given_name, person.family_name = row.given_name, row.family_name
    person.born_on = person.born_on or row.born_on


class NewPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person typed in. `surely_new` answers a possible double: it is somebody else."""

    given_name: str
    family_name: str
    role: RosterRole
    born_on: date | None = None
    class_name: str = ""
    language: Language = "ru"
    source_id: str = ""
    surely_new: bool = False


class Added(msgspec.Struct, frozen=True):
    """The person who was added, or who was here already."""

    id: UUID


class BadPerson(Refused):
    """A field of the person typed in is not believed; `errors` name it."""

    status = 422
    code = "bad_person"


class PossibleDouble(Refused):
    """Somebody of that name is here already, and nothing tells the two apart."""

    status = 409
    code = "possible_double"


async def add_person(
    db: AsyncSession, actor: Actor, organisation_id: UUID, new: NewPerson, now: datetime
) -> tuple[Added, list[Seat]]:
    """Add one person as a list of one row would. Raises BadPerson, PossibleDouble."""
    today = await local_today(db, actor, organisation_id, now)
    cells = {
        "given_name": new.given_name,
        "family_name": new.family_name,
        "born_on": new.born_on.isoformat() if new.born_on else "",
        "language": new.language,
        "source_id": new.source_id,
        "role": new.role.value,
        "class": new.class_name,
    }
    row = one_row(cells, today)
    if isinstance(row, BadRow):
        raise BadPerson((FieldError(row.field, row.code),))
    kind = await _locked_kind(db, organisation_id)
    members = await _members(db, organisation_id, now)
    if new.surely_new:
        members = [one for one in members if one.source_id and one.source_id == row.source_id]
    steps, bad = plan([row], members, kind)
    if bad and bad[0].code == "possible_double":
        raise PossibleDouble
    if bad:
        raise BadPerson((FieldError(bad[0].field, bad[0].code),))
    ids, seats = await _store(db, (actor, organisation_id, kind), steps, now, by="hand")
    thing = Thing(subject_id=ids[0], organisation_id=organisation_id)
    details = {"role": new.role.value}
    await audit.acted(db, actor.id, "add_person", thing, now, details=details)
    return Added(ids[0]), seats
