"""A clinic's desk and what its cards are shown with."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people.entering import Entered, Shown, enter
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import grant
from people.second_factors import SignedInAs
from storage.engine import new_id

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
BORN = date(1988, 5, 17)


async def person_with(
    db: AsyncSession, kind: Kind, clinic: UUID, now: datetime, name: str = "Тест"
) -> Persons:
    """One more person with a right in an organisation."""
    row = Persons(id=new_id(), family_name=name, given_name="Аня", language="ru", created_at=now)
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=kind, organisation_id=clinic, since=now)
    await grant(db, right, "test")
    return row


@dataclass
class Desk:
    """The clinic's desk, and a patient who got a card there."""

    admin: Actor
    clinic: Organisations
    patient: Persons
    secret: str


async def show(
    db: AsyncSession,
    secret: str,
    now: datetime,
    *,
    born: date | None = None,
    browser: str | None = None,
    network: str = HOME,
) -> Entered:
    return await enter(db, Shown(secret, born), browser, network, now)


def session_of(entered: Entered) -> SignedInAs:
    """The session of somebody who has no second factor."""
    assert isinstance(entered.found, SignedInAs)
    return entered.found
