"""What a list comes to when it is held against who is here already. Pure.

A person is known again by the number the list gives, else by name and date of birth. Where that is
not enough to tell, nobody is made: the row is a possible double.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

import msgspec

from people.organisations import OrganisationKind
from people.policy import Kind
from people.roster_rows import BadRow, RosterRole, RosterRow


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
