"""Rows of the three audit tables as one list, and the names and hats of who stands in it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    cast,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy import Uuid as SqlUuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, RoleName, full_name
from people.policy import Kind
from people.relations import Relations

LookKind = Literal["read", "act", "refusal"]
_KINDS: dict[str, LookKind] = {
    "audit_reads": "read",
    "audit_acts": "act",
    "audit_refusals": "refusal",
}
# Rows of one table, by a condition that one of its indexes answers.
Way = tuple[Table, ColumnElement[bool]]


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: the next one begins behind it."""

    at: datetime
    id: UUID


class AuditRow(msgspec.Struct, frozen=True):
    """One row of any of the three tables."""

    kind: LookKind
    id: UUID
    at: datetime
    actor_id: UUID | None
    act: str
    subject_id: UUID | None
    organisation_id: UUID | None
    about_id: UUID | None
    details: dict[str, str] | None

    @property
    def same(self) -> tuple[object, ...]:
        """What rows of one sitting have in common."""
        return (
            *(self.kind, self.act, self.actor_id, self.subject_id, self.organisation_id),
            *(self.about_id, tuple(sorted((self.details or {}).items()))),
        )


async def rows_of_ways(
    db: AsyncSession, ways: Sequence[Way], after: Place | None, most: int
) -> list[AuditRow]:
    """Give the newest rows behind a place, whichever way they come."""
    queries = [_query(table, way, after, most).subquery().select() for table, way in ways]
    both = union_all(*queries).subquery()
    query = select(both).order_by(both.c.at.desc(), both.c.id.desc()).limit(most)
    return [AuditRow(*row) for row in (await db.execute(query)).all()]


def _query(table: Table, way: ColumnElement[bool], after: Place | None, most: int) -> Select[Any]:
    """Newest rows of one table behind a place."""
    nobody = cast(null(), SqlUuid())
    query = (
        select(
            literal(_KINDS[table.name]).label("kind"),
            *(table.c.id, table.c.at, table.c.actor_id, table.c.act),
            (table.c.subject_id if "subject_id" in table.c else nobody).label("subject_id"),
            *(table.c.organisation_id, table.c.about_id),
            (table.c.details if "details" in table.c else cast(null(), JSONB())).label("details"),
        )
        .where(way)
        .order_by(table.c.at.desc(), table.c.id.desc())
        .limit(most)
    )
    if after is None:
        return query
    # The first half lets the index skip; the second is exact among rows of the same moment.
    behind = tuple_(table.c.at, table.c.id) < tuple_(literal(after.at), literal(after.id))
    return query.where(table.c.at <= after.at, behind)


class Names:
    """Names and hats of those who are on one page."""

    def __init__(
        self,
        persons: dict[UUID, str],
        organisations: dict[UUID, tuple[str, str]],
        rights: Sequence[Relations],
    ) -> None:
        self.persons = persons
        self.organisations = organisations
        self.rights: dict[UUID, list[Relations]] = defaultdict(list)
        for right in rights:
            self.rights[right.actor_id].append(right)

    def person(self, person_id: UUID | None) -> Ref | None:
        """Somebody by name; None for nobody, or whom we do not know."""
        name = self.persons.get(person_id) if person_id is not None else None
        return Ref(person_id, name) if person_id is not None and name is not None else None

    def organisation(self, organisation_id: UUID | None) -> Ref | None:
        """An organisation by name."""
        found = self.organisations.get(organisation_id) if organisation_id is not None else None
        return Ref(organisation_id, found[0]) if organisation_id and found else None

    def role(self, row: AuditRow) -> RoleName | None:
        """The hat that was worn there and then; none for what somebody does to their own."""
        if row.actor_id is None or row.actor_id == row.subject_id:
            return None
        worn = [r for r in self.rights.get(row.actor_id, ()) if _was_live(r, row.at)]
        for kind, role in _HATS:
            for right in worn:
                if right.kind != kind:
                    continue
                if kind is Kind.GUARDIANSHIP and right.subject_id == row.subject_id:
                    return role
                if kind is not Kind.GUARDIANSHIP and right.organisation_id == row.organisation_id:
                    return self._of_duty(right) if kind is Kind.DUTY else role
        return None

    def _of_duty(self, right: Relations) -> RoleName:
        where = self.organisations.get(right.organisation_id) if right.organisation_id else None
        clinic = where is not None and where[1] == OrganisationKind.CLINIC
        return RoleName.DOCTOR if clinic else RoleName.TEACHER


_HATS = (
    (Kind.DUTY, RoleName.DOCTOR),
    (Kind.CLERKSHIP, RoleName.CLERK),
    (Kind.ADMINISTRATION, RoleName.ADMINISTRATOR),
    (Kind.GUARDIANSHIP, RoleName.PARENT),
)


def _was_live(right: Relations, at: datetime) -> bool:
    return right.since <= at and (right.until is None or at <= right.until)


async def names_of(db: AsyncSession, rows: Sequence[AuditRow]) -> Names:
    """Look up everybody and every place these rows name."""
    actors = {row.actor_id for row in rows if row.actor_id is not None}
    wanted = actors | {row.subject_id for row in rows if row.subject_id is not None}
    where = {row.organisation_id for row in rows if row.organisation_id is not None}
    persons = select(Persons.id, Persons.given_name, Persons.family_name)
    found = (await db.execute(persons.where(Persons.id.in_(wanted)))).all()
    places = select(Organisations.id, Organisations.name, Organisations.kind)
    rights = select(Relations).where(
        Relations.actor_id.in_(actors),
        Relations.kind.in_([kind.value for kind, _ in _HATS]),
        or_(Relations.organisation_id.in_(where), Relations.organisation_id.is_(None)),
    )
    return Names(
        {one.id: full_name(one.given_name, one.family_name) for one in found},
        {
            one.id: (one.name, one.kind)
            for one in await db.execute(places.where(Organisations.id.in_(where)))
        },
        (await db.scalars(rights)).all(),
    )
