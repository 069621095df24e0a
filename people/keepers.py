"""Who keeps something of a person: the organisations whose word an erasure needs.

One key seals what all of them wrote, so it is destroyed only when each has agreed. Every room says
what it keeps (`keeps`), and since when: a word given before something new came is no word about it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.policy import Kind
from people.relations import Relations
from people.roster import RosterEntries

# SQL: organisations that keep something of a person (an id or a column), and since when.
Places = Select[UUID, datetime] | Select[UUID | None, datetime]
Kept = Callable[[Any], Places]
_kept: Final[list[Kept]] = []
_later: Final[list[Kept]] = []
_RECORDS: Final = (Kind.RECORD.value, Kind.APPOINTMENT.value)


class Keeper(NamedTuple):
    """An organisation where the person belongs, or where records of the person lie."""

    organisation_id: UUID
    belongs: bool
    records: bool
    latest: datetime


def keeps(kept: Kept) -> Kept:
    """Decorate how a room finds which organisations keep what lies sealed under a person's key."""
    _kept.append(kept)
    return kept


def keeps_later(kept: Kept) -> Kept:
    """As `keeps`, of what came to records that are found without it: only since when is asked."""
    _later.append(kept)
    return kept


async def keepers_of(db: AsyncSession, person_id: UUID, now: datetime) -> list[Keeper]:
    """Give every organisation that keeps something of the person."""
    ways = [one.add_columns(literal(value=True)) for one in _belongs(person_id, now)]
    records = [*_records(person_id, now), *(kept(person_id) for kept in _later)]
    ways += [one.add_columns(literal(value=False)) for one in records]
    place, since, belongs = union_all(*ways).subquery().columns
    query = select(place, func.bool_or(belongs), func.bool_or(~belongs), func.max(since))
    query = query.group_by(place).order_by(place)
    found = (await db.execute(query, execution_options=audit.WRITE_PATH)).all()
    return [Keeper(*row) for row in found]


def keeps_of(person_id: Any, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL: this organisation keeps something of the person (an id or a column)."""
    ways = (*_belongs(person_id, now), *_records(person_id, now))
    return or_(*(one.where(one.selected_columns[0] == organisation_id).exists() for one in ways))


def _belongs(person_id: Any, now: datetime) -> list[Places]:
    return [
        select(Relations.organisation_id, Relations.since).where(
            Relations.actor_id == person_id,
            Relations.organisation_id.is_not(None),
            Relations.live(now),
        ),
        select(RosterEntries.organisation_id, RosterEntries.since).where(
            RosterEntries.person_id == person_id, RosterEntries.live(now)
        ),
    ]


def _records(person_id: Any, now: datetime) -> list[Places]:
    read = select(Relations.organisation_id, Relations.since).where(
        Relations.subject_id == person_id,
        Relations.organisation_id.is_not(None),
        Relations.kind.in_(_RECORDS),
        Relations.live(now),
    )
    return [read, *(kept(person_id) for kept in _kept)]
