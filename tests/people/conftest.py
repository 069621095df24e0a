"""A small house for the tests of people: one clinic, a doctor and a patient."""

from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher
from card_world import BORN, Desk, person_with
from sqlalchemy.ext.asyncio import AsyncSession

from people import passwords
from people.cards import issue_card
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import actor_of, grant
from storage.engine import new_id

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def cheap_hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed with hardly any work, but where a test asks for `costly_hashing`."""
    if "costly_hashing" not in request.fixturenames:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "_HASHER", cheap)
        monkeypatch.setattr(passwords, "_DECOY", cheap.hash("nobody's"))


@pytest.fixture
def costly_hashing() -> None:
    """Passwords are hashed as in earnest: their time or strength is looked at."""


@pytest.fixture
def now() -> datetime:
    """One moment for a whole test."""
    return NOW


@pytest.fixture
async def clinic(db: AsyncSession) -> Organisations:
    """A clinic."""
    row = Organisations(id=new_id(), kind="clinic", name="Поликлиника")
    db.add(row)
    await db.flush()
    return row


@pytest.fixture
async def doctor(db: AsyncSession, clinic: Organisations) -> Persons:
    """A doctor on duty in the clinic."""
    return await _person(db, clinic, "Амина", Kind.DUTY)


@pytest.fixture
async def patient(db: AsyncSession, clinic: Organisations) -> Persons:
    """A patient of the clinic."""
    return await _person(db, clinic, "Ринат", Kind.ATTACHMENT)


@pytest.fixture
async def admin(db: AsyncSession, clinic: Organisations, now: datetime) -> Actor:
    """An administrator of the clinic."""
    row = await person_with(db, Kind.ADMINISTRATION, clinic.id, now, "Гөлнара")
    return await actor_of(db, row.id, now)


@pytest.fixture
async def secret(
    db: AsyncSession, admin: Actor, patient: Persons, clinic: Organisations, now: datetime
) -> str:
    """The secret of the patient's card; the date of birth is known."""
    patient.born_on = BORN
    return (await issue_card(db, admin, patient.id, clinic.id, now))[1]


@pytest.fixture
def desk(admin: Actor, clinic: Organisations, patient: Persons, secret: str) -> Desk:
    """All of it together."""
    return Desk(admin, clinic, patient, secret)


async def _person(db: AsyncSession, clinic: Organisations, name: str, kind: Kind) -> Persons:
    row = Persons(id=new_id(), family_name="Хасан", given_name=name, created_at=NOW)
    row.language = "ru"
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=kind, organisation_id=clinic.id, since=NOW)
    await grant(db, right, "test")
    return row
