"""One-use codes: 128 bits, five minutes, one purpose; whatever is wrong is one answer."""

import asyncio
import base64
import secrets
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import codes
from people.codes import LIFE, CodeRefused, Codes
from people.persons import Persons
from people.refused import TooManyAttempts
from storage.engine import new_id, sessions


async def test_a_code_is_taken_once_for_what_it_was_made_for(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """It has 128 bits, the store does not hold it, and a second use is refused."""
    code = await codes.make(db, patient.id, "assist", now, {"by": "x"})
    assert len(base64.urlsafe_b64decode(code + "==")) == 16
    assert code.encode() not in (await db.scalars(select(Codes.sha256))).one()
    with pytest.raises(CodeRefused):
        await codes.take(db, code, "share_profile", now)
    taken = await codes.take(db, code, "assist", now)
    assert (taken.person_id, taken.params) == (patient.id, {"by": "x"})
    with pytest.raises(CodeRefused):
        await codes.take(db, code, "assist", now)


async def test_a_late_code_and_an_older_one_are_refused(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """Whoever shows a new code has taken the old one back, for that purpose."""
    first = await codes.make(db, patient.id, "share_profile", now)
    other = await codes.make(db, patient.id, "assist", now)
    second = await codes.make(db, patient.id, "share_profile", now)
    with pytest.raises(CodeRefused):
        await codes.take(db, first, "share_profile", now)
    last = now + LIFE - timedelta(seconds=1)
    assert (await codes.take(db, second, "share_profile", last)).person_id == patient.id
    with pytest.raises(CodeRefused):
        await codes.take(db, other, "assist", now + LIFE)


async def test_ten_thousand_guesses_give_nothing(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """One who guesses ten times a second for a quarter of an hour gets a dozen looks.

    Of the guesses that must wait every hundredth is really made.
    """
    await codes.make(db, patient.id, "share_profile", now)
    scanner, looked, wait_until = new_id(), 0, now
    for n in range(10_000):
        at = now + timedelta(milliseconds=100 * n)
        waits = at < wait_until
        if waits and n % 100:
            continue
        guess = secrets.token_urlsafe(16)
        with pytest.raises(TooManyAttempts if waits else (CodeRefused, TooManyAttempts)) as no:
            await codes.take(db, guess, "share_profile", at, by=scanner, network="10.0.0.7")
        looked += isinstance(no.value, CodeRefused)
        if isinstance(no.value, TooManyAttempts):
            wait_until = at + timedelta(seconds=no.value.params["retry_after_s"])
    assert 4 < looked < 20


async def test_of_two_who_take_a_code_at_once_one_has_it(
    engine: AsyncEngine, now: datetime
) -> None:
    """Both are committed; the row lets one through."""
    make = sessions(engine)
    async with make() as db, db.begin():
        person = Persons(id=new_id(), family_name="А", given_name="Б", created_at=now)
        db.add(person)
        await db.flush()
        code = await codes.make(db, person.id, "assist", now)

    async def take() -> bool:
        async with make() as db, db.begin():
            try:
                await codes.take(db, code, "assist", now, by=new_id(), network="10.0.0.7")
            except CodeRefused:
                return False
            return True

    assert sorted(await asyncio.gather(*(take() for _ in range(4)))) == [False] * 3 + [True]
