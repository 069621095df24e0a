"""The people of an organisation, as its administrator sees them: who they are, and their hats."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from people.administration import require_at
from people.closed_accounts import ClosedAccounts
from people.members import known
from people.organisations import OrganisationKind, Organisations
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind
from people.refused import NotFound
from people.relations import Relations
from people.roster import RosterEntries

PAGE = 50

# What ties a person to an organisation; a right to one visit or lesson does not.
TIES = (Kind.DUTY, Kind.CLERKSHIP, Kind.ADMINISTRATION, Kind.ATTACHMENT, Kind.CLASS)

Which = Literal["here", "staff", "let_go"]


class WornHat(msgspec.Struct, frozen=True):
    """One hat and since when; of a class, which."""

    kind: Kind
    since: datetime
    class_id: UUID | None = None
    class_name: str | None = None


class PersonHere(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the organisation."""

    id: UUID
    name: str
    born_on: date | None
    source_id: str | None
    hats: list[WornHat]
    let_go_at: datetime | None
    account_closed: bool


class PeopleHere(msgspec.Struct, frozen=True):
    """A page of them by family name; `next` continues it, None at the end."""

    people: list[PersonHere]
    count: int
    organisation_kind: OrganisationKind  # who is on duty is a doctor or a teacher by it
    next: UUID | None


async def list_people(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    now: datetime,
    *,
    which: Which = "here",
    search: str = "",
    after: UUID | None = None,
) -> PeopleHere:
    """Give the people of an organisation to its administrator. Raises NotFound, Forbidden."""
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    where = [_shown(which, organisation_id, now), *_named(search)]
    kind = await db.scalar(select(Organisations.kind).where(Organisations.id == organisation_id))
    if kind is None:
        raise NotFound
    count = await db.scalar(select(func.count()).select_from(Persons).where(*where))
    order = (Persons.family_name, Persons.given_name, Persons.id)
    if after is not None:
        own = select(Persons).where(Persons.id == after, known(Persons.id, organisation_id, now))
        last = await db.scalar(own)
        if last is None:
            raise NotFound
        where.append(tuple_(*order) > tuple_(last.family_name, last.given_name, last.id))
    query = select(Persons).where(*where).order_by(*order).limit(PAGE + 1)
    found = (await db.scalars(query)).all()
    shown = await _people(db, organisation_id, found[:PAGE], now)
    following = found[PAGE - 1].id if len(found) > PAGE else None
    return PeopleHere(shown, count or 0, OrganisationKind(kind), following)


def _shown(which: Which, organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    listed = select(RosterEntries.person_id).where(RosterEntries.organisation_id == organisation_id)
    gone = listed.where(RosterEntries.until <= now)
    if which == "let_go":
        return Persons.id.in_(gone)
    ties = [Kind.DUTY, Kind.CLERKSHIP, Kind.ADMINISTRATION] if which == "staff" else list(TIES)
    held = select(Relations.actor_id).where(
        Relations.organisation_id == organisation_id,
        Relations.kind.in_([kind.value for kind in ties]),
        Relations.live(now),
    )
    if which == "staff":
        return Persons.id.in_(held)
    return or_(Persons.id.in_(held), Persons.id.in_(listed.where(RosterEntries.live(now))))


def _named(search: str) -> list[ColumnElement[bool]]:
    """Every word of the search is somewhere in the name, ё as е, or is the list's number."""
    name = func.replace(func.lower(Persons.family_name + " " + Persons.given_name), "ё", "е")
    words = search.casefold().replace("ё", "е").split()
    return [and_(*(name.contains(word, autoescape=True) for word in words))] if words else []


async def _people(
    db: AsyncSession, organisation_id: UUID, found: Collection[Persons], now: datetime
) -> list[PersonHere]:
    ids = [person.id for person in found]
    worn = select(Relations.actor_id, Relations.kind, Relations.since, Relations.about_id).where(
        Relations.actor_id.in_(ids),
        Relations.organisation_id == organisation_id,
        Relations.kind.in_([kind.value for kind in TIES]),
        Relations.live(now),
    )
    hats: dict[UUID, list[WornHat]] = defaultdict(list)
    for person_id, kind, since, about_id in await db.execute(worn.order_by(Relations.since)):
        hats[person_id].append(WornHat(Kind(kind), since, about_id))
    listed = select(RosterEntries).where(
        RosterEntries.organisation_id == organisation_id, RosterEntries.person_id.in_(ids)
    )
    entries = {entry.person_id: entry for entry in await db.scalars(listed)}
    closed = select(ClosedAccounts.person_id).where(
        ClosedAccounts.person_id.in_(ids), ClosedAccounts.organisation_id == organisation_id
    )
    shut = set((await db.scalars(closed)).all())
    return [
        PersonHere(
            id=person.id,
            name=full_name(person.given_name, person.family_name),
            born_on=person.born_on,
            source_id=entries[person.id].source_id if person.id in entries else None,
            hats=hats[person.id],
            let_go_at=entries[person.id].until if person.id in entries else None,
            account_closed=person.id in shut,
        )
        for person in found
    ]
