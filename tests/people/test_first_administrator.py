"""The first administrator: by a code of the machine, once; nobody is there before."""

from datetime import datetime, timedelta

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.first_administrator import (
    LIFE,
    AdministratorThere,
    FirstAdministrator,
    FirstCodeRefused,
    FirstCodes,
    NameEmpty,
    begin,
    offer,
)
from people.organisations import OrganisationKind
from people.passwords import WeakPassword
from people.persons import RoleName
from people.refused import TooManyAttempts
from people.second_factors import SignedInAs
from people.sign_in import sign_in
from people.throttle import NETWORK_FREE

HOME = "192.0.2.7"
PASSWORD = "зелёный самовар 42"


def who(code: str, **changes: str) -> FirstAdministrator:
    words = {"given_name": "Гөлнара", "family_name": "Сафина", "login": "Gulnara"}
    words |= {"organisation_name": "Поликлиника № 1", "password": PASSWORD, **changes}
    return FirstAdministrator(code=code, organisation_kind=OrganisationKind.CLINIC, **words)


async def test_the_code_makes_an_organisation_and_its_administrator(
    db: AsyncSession, now: datetime
) -> None:
    """Who signs in with the password chosen, and has to make a second factor."""
    code = await offer(db, now)
    found = await begin(db, who(code), HOME, now, required=True)
    assert [(r.role, r.organisation_name) for r in found.me.roles] == [
        (RoleName.ADMINISTRATOR, "Поликлиника № 1")
    ]
    assert found.me.enrolment_needed
    again = await sign_in(db, "gulnara", PASSWORD, HOME, now)
    assert isinstance(again, SignedInAs)
    assert again.me.id == found.me.id


async def test_a_code_works_once_and_for_an_hour(db: AsyncSession, now: datetime) -> None:
    """And only the last one made; the store holds none of them."""
    first, code = await offer(db, now), await offer(db, now)
    for wrong, moment in ((first, now), (code, now + LIFE), ("first-guess", now)):
        with pytest.raises(FirstCodeRefused):
            await begin(db, who(wrong), HOME, moment, required=True)
    row = (await db.scalars(select(FirstCodes))).one()
    assert code.encode() not in row.sha256
    await begin(db, who(code), HOME, now, required=True)
    with pytest.raises(FirstCodeRefused):
        await begin(db, who(code), HOME, now, required=True)


async def test_where_somebody_administers_there_is_no_code(db: AsyncSession, now: datetime) -> None:
    """Nor does one made before let a second one in."""
    code = await offer(db, now)
    await begin(db, who(code), HOME, now, required=True)
    with pytest.raises(AdministratorThere):
        await offer(db, now)


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"given_name": "  "}, NameEmpty, "given_name"),
        ({"password": "short"}, WeakPassword, "password"),
        ({"password": "поликлиника № 1 12"}, WeakPassword, "password"),
    ],
)
async def test_what_is_wrong_is_named_and_the_code_stays_good(
    db: AsyncSession,
    now: datetime,
    changes: dict[str, str],
    refusal: type[NameEmpty | WeakPassword],
    field: str,
) -> None:
    code = await offer(db, now)
    with pytest.raises(refusal) as refused:
        await begin(db, who(code, **changes), HOME, now, required=True)
    assert refused.value.errors[0].field == field
    await begin(db, who(code), HOME, now, required=True)


async def test_codes_are_guessed_at_the_price_of_passwords(db: AsyncSession, now: datetime) -> None:
    """Whoever guesses waits, whatever is guessed."""
    await offer(db, now)
    looked = 0
    for guess in range(200):
        try:
            moment = now + timedelta(milliseconds=50 * guess)
            await begin(db, who(f"first-{guess}"), HOME, moment, required=True)
        except FirstCodeRefused:
            looked += 1
        except TooManyAttempts:
            pass
    assert NETWORK_FREE < looked < NETWORK_FREE + 10


def test_a_new_house_has_no_account(database_url: str) -> None:
    """Migrated and nothing else: nobody, no login, no card, no right."""
    with psycopg.connect(database_url) as database:
        for table in ("persons", "credentials", "relations", "sessions", "cards", "devices"):
            found = database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608 - our own tables
            assert found == (0,), table
