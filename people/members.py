"""Who belongs to an organisation: staff, patients, pupils, and the guardians of those."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.persons import Persons
from people.policy import Kind
from people.refused import NotFound
from people.relations import Relations
from people.roster import RosterEntries

_BELONGS: Final = tuple(
    kind.value
    for kind in (
        Kind.ATTACHMENT,
        Kind.APPOINTMENT,
        Kind.CLASS,
        Kind.DUTY,
        Kind.CLERKSHIP,
        Kind.ADMINISTRATION,
    )
)
_STAFF: Final = tuple(k.value for k in (Kind.DUTY, Kind.CLERKSHIP, Kind.ADMINISTRATION))

_own = Relations.__table__.alias("own")
_tie = Relations.__table__.alias("tie")


def belongs(person_id: Any, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL: the person (an id or a column) is of the organisation, or guardian of one who is."""
    here = and_(_own.c.organisation_id == organisation_id, _own.c.kind.in_(_BELONGS))
    tied = and_(
        _tie.c.actor_id == person_id,
        _tie.c.kind == Kind.GUARDIANSHIP.value,
        _tie.c.subject_id == _own.c.actor_id,
    )
    listed = exists().where(
        RosterEntries.organisation_id == organisation_id,
        RosterEntries.person_id == person_id,
        RosterEntries.live(now),
    )
    return or_(
        listed,
        exists().where(here, _live(_own, now), _own.c.actor_id == person_id),
        exists().where(here, _live(_own, now), tied, _live(_tie, now)),
    )


def known(person_id: Any, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL: the person belongs to the organisation, or did; a page of a list may end with either."""
    was_listed = exists().where(
        RosterEntries.organisation_id == organisation_id, RosterEntries.person_id == person_id
    )
    was_here = exists().where(
        _own.c.organisation_id == organisation_id,
        _own.c.kind.in_(_BELONGS),
        _own.c.actor_id == person_id,
    )
    return or_(belongs(person_id, organisation_id, now), was_listed, was_here)


def is_staff(person_id: Any, now: datetime, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """SQL: the person works somewhere, wherever that is."""
    held = and_(_own.c.kind.in_(_STAFF), _live(_own, now), *where)
    return exists().where(_own.c.actor_id == person_id, held)


def works_at(person_id: Any, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL: the person works in this organisation."""
    return is_staff(person_id, now, _own.c.organisation_id == organisation_id)


def works_elsewhere(person_id: Any, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL: the person works in another organisation than this."""
    return is_staff(person_id, now, _own.c.organisation_id != organisation_id)


async def member(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime
) -> Persons:
    """Give a person of the organisation. Raises NotFound for anybody else."""
    query = select(Persons).where(
        Persons.id == person_id, belongs(Persons.id, organisation_id, now)
    )
    person = await db.scalar(query)
    if person is None:
        raise NotFound
    return person


def _live(table: Any, now: datetime) -> ColumnElement[bool]:
    found: ColumnElement[bool] = (table.c.since <= now) & (
        table.c.until.is_(None) | (table.c.until > now)
    )
    return found
