"""Lists of people brought into an organisation: looked at first, stored whole, nothing twice.

A person of a list is known again by the number the list gives (`source_id`, one in its
organisation), else by name and date of birth. Where that is not enough to tell, nobody is made:
the row is reported as a possible double. Looking at a list writes nothing; storing it is one
transaction. A list gives hats and never takes one away.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import Date, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people import audit
from people.administration import require_at
from people.facts import RightsChanged, emit
from people.hats import proper_staff
from people.members import is_staff
from people.organisations import OrganisationKind, Organisations
from people.persons import Language, Persons
from people.policy import Act, Actor, Kind, Right, Thing
from people.refused import FieldError, NotFound, Refused
from people.relations import Relations, grant_all
from people.roster import RosterEntries
from people.roster_files import Encoding
from people.roster_rows import BadRow, Roster, RosterRole, RosterRow, one_row
from storage.engine import new_id

SOURCE = "list"
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


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who belongs to the organisation already, as a list is held against him."""

    id: UUID
    given_name: str
    family_name: str
    born_on: date | None
    source_id: str | None
    elsewhere: bool  # belongs to another organisation too, which knows him by this name
    gone: bool  # was let go: a list does not take him back
    staff: bool  # works somewhere


class Step(msgspec.Struct, frozen=True):
    """What one row comes to: a new person (`member` is None) or one who is known."""

    row: RosterRow
    member: Member | None

    @property
    def changes(self) -> bool:
        """Whether something of the known person is to be written."""
        return self.rewrites or self.numbers

    @property
    def rewrites(self) -> bool:
        """The only organisation that knows somebody may correct the name, and add a birth."""
        one, row = self.member, self.row
        if one is None or one.elsewhere:
            return False
        named = (one.given_name, one.family_name) == (row.given_name, row.family_name)
        return not named or (one.born_on is None and row.born_on is not None)

    @property
    def numbers(self) -> bool:
        """Known by name and birth until now; from now on by the list's number."""
        one = self.member
        return one is not None and one.source_id is None and self.row.source_id is not None


ROLES_OF = {
    OrganisationKind.SCHOOL: {
        RosterRole.PUPIL: None,
        RosterRole.PARENT: None,
        RosterRole.TEACHER: Kind.DUTY,
        RosterRole.CLERK: Kind.CLERKSHIP,
    },
    OrganisationKind.CLINIC: {
        RosterRole.PATIENT: Kind.ATTACHMENT,
        RosterRole.PARENT: None,
        RosterRole.DOCTOR: Kind.DUTY,
        RosterRole.CLERK: Kind.CLERKSHIP,
    },
}


def plan(
    rows: Iterable[RosterRow], members: Collection[Member], kind: OrganisationKind
) -> tuple[list[Step], list[BadRow]]:
    """Hold a list against who is here. Pure."""
    numbered = {one.source_id: one for one in members if one.source_id is not None}
    named: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for one in members:
        named[_folded(one.given_name, one.family_name)].append(one)
    steps: list[Step] = []
    bad: list[BadRow] = []
    taken: set[UUID] = set()
    made: dict[tuple[str, str], list[RosterRow]] = defaultdict(list)
    for row in rows:
        name = _folded(row.given_name, row.family_name)
        member = numbered.get(row.source_id) if row.source_id is not None else None
        fault = _fault(row, member, kind)
        if fault is None and member is None:
            member, fault = _by_name(row, named[name], made[name])
        if fault is None and member is not None:
            fault = _fault_of(member, taken)
        if fault is not None:
            bad.append(BadRow(row.file, row.line, *fault))
            continue
        if member is None:
            made[name].append(row)
        else:
            taken.add(member.id)
        steps.append(Step(row, member))
    return steps, bad


def _fault(row: RosterRow, member: Member | None, kind: OrganisationKind) -> tuple[str, str] | None:
    if any(role not in ROLES_OF[kind] for role in row.roles):
        return ("role", "role_not_here")
    births = (row.born_on, member.born_on if member else None)
    # Who may act for a child follows from the date: no list changes it.
    if None not in births and births[0] != births[1]:
        return ("born_on", "born_on_differs")
    return None


def _fault_of(member: Member, taken: Collection[UUID]) -> tuple[str, str] | None:
    if member.gone:
        return ("", "let_go")
    return ("", "repeated") if member.id in taken else None


def _by_name(
    row: RosterRow, here: list[Member], made: list[RosterRow]
) -> tuple[Member | None, tuple[str, str] | None]:
    """Find the person by name and date of birth, or say that nobody can tell."""
    double = ("family_name", "possible_double")
    for other in made:
        numbers = (row.source_id, other.source_id)
        told_apart = _differ(row.born_on, other.born_on) or None not in numbers
        if not told_apart:
            return None, double
    near = [one for one in here if not _differ(row.born_on, one.born_on)]
    if not near:
        return None, None
    sure = [one for one in near if one.born_on is not None and one.born_on == row.born_on]
    if len(near) > 1 or not sure:
        return None, double
    if row.source_id is not None and sure[0].source_id is not None:
        return None, double
    return sure[0], None


def _differ(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and one != other


def _folded(given_name: str, family_name: str) -> tuple[str, str]:
    """As names are compared: ё is often written е."""
    return given_name.casefold().replace("ё", "е"), family_name.casefold().replace("ё", "е")


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
    steps, bad = plan(roster.rows, await _members(db, organisation_id, now), kind)
    bad = sorted([*roster.bad, *bad], key=lambda row: (row.file, row.line))
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
    )
    if mode == "look":
        return report, []
    _, seats = await _store(db, organisation_id, steps, kind, now)
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
            Persons,
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
            id=person.id,
            given_name=person.given_name,
            family_name=person.family_name,
            born_on=person.born_on,
            source_id=source_id,
            elsewhere=elsewhere,
            gone=gone,
            staff=staff,
        )
        for person, source_id, elsewhere, gone, staff in (await db.execute(query)).all()
    ]


async def _store(
    db: AsyncSession,
    organisation_id: UUID,
    steps: list[Step],
    kind: OrganisationKind,
    now: datetime,
) -> tuple[list[UUID], list[Seat]]:
    ids = [new_id() if step.member is None else step.member.id for step in steps]
    here = select(RosterEntries).where(RosterEntries.organisation_id == organisation_id)
    entries = {entry.person_id: entry for entry in await db.scalars(here)}
    for person_id, step in zip(ids, steps, strict=True):
        await _write_person(db, person_id, step, now)
    await db.flush()
    for person_id, step in zip(ids, steps, strict=True):
        entry = entries.get(person_id)
        if entry is None:
            entry = RosterEntries(organisation_id=organisation_id, person_id=person_id, since=now)
            db.add(entry)
        if step.row.source_id is not None:
            entry.source_id = step.row.source_id
    rights = [
        Right(actor_id=person_id, kind=hat, organisation_id=organisation_id, since=now)
        for person_id, step in zip(ids, steps, strict=True)
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
    seats = [
        Seat(person_id, step.row.classes)
        for person_id, step in zip(ids, steps, strict=True)
        if step.row.classes
    ]
    return ids, seats


async def _write_person(db: AsyncSession, person_id: UUID, step: Step, now: datetime) -> None:
    row = step.row
    if step.member is None:
        db.add(
            Persons(
                id=person_id,
                given_name=row.given_name,
                family_name=row.family_name,
                born_on=row.born_on,
                language=row.language,
                created_at=now,
            )
        )
        return
    if step.rewrites:
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
    ids, seats = await _store(db, organisation_id, steps, kind, now)
    thing = Thing(subject_id=ids[0], organisation_id=organisation_id)
    details = {"role": new.role.value}
    await audit.acted(db, actor.id, "add_person", thing, now, details=details)
    return Added(ids[0]), seats
