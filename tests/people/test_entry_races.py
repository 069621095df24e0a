"""Two at once at the door: a session by what is just being taken away does not outlive it."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people.device_tokens import token_hash
from people.passwords import hold, set_password
from people.persons import Persons
from people.proofs import RecoveryProof, SecondStepTaken, take_second
from people.recovery_codes import write_sheet
from people.refused import WrongLoginOrPassword
from people.second_factors import SignedInAs
from people.second_steps import SecondSteps
from people.sessions import Sessions, end_sessions_of
from people.sign_in import sign_in
from storage.engine import new_id

HOME, KEY = "192.0.2.7", b"k" * 32
OLD, NEW = "синий трамвай", "жёлтый автобус"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def amina(engine: AsyncEngine) -> Persons:
    """Somebody with a login, committed."""
    async with AsyncSession(engine, expire_on_commit=False) as db, db.begin():
        row = Persons(id=new_id(), family_name="Хасан", given_name="Амина", created_at=NOW)
        row.language = "ru"
        db.add(row)
        await db.flush()
        await set_password(db, row.id, "amina", OLD, NOW)
    return row


async def change(db: AsyncSession, person: Persons) -> None:
    """What both verbs of a new password do."""
    await hold(db, person.id)
    await set_password(db, person.id, "amina", NEW, NOW)
    await end_sessions_of(db, person.id, NOW)


async def begun(act: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin an act, and let it come as far as it may."""
    task = asyncio.create_task(act)
    await asyncio.wait({task}, timeout=0.3)
    return task


async def live(db: AsyncSession, person: Persons) -> list[Sessions]:
    query = select(Sessions).where(Sessions.person_id == person.id, Sessions.live(NOW))
    return list((await db.scalars(query)).all())


async def test_the_old_password_opens_nothing_while_it_is_being_changed(
    engine: AsyncEngine, amina: Persons
) -> None:
    """Whoever comes during the change is judged by the new one."""
    async with AsyncSession(engine) as one, AsyncSession(engine) as other:
        await change(one, amina)
        late = await begun(sign_in(other, "amina", OLD, HOME, NOW))
        await one.commit()
        with pytest.raises(WrongLoginOrPassword):
            await late
        await other.commit()
        assert await live(one, amina) == []


async def test_a_session_that_is_just_being_opened_ends_with_the_others(
    engine: AsyncEngine, amina: Persons
) -> None:
    """By the old password, or by a second step after it: the change waits and sees it."""
    async with AsyncSession(engine) as one, AsyncSession(engine) as other:
        assert isinstance(await sign_in(one, "amina", OLD, HOME, NOW), SignedInAs)
        changing = await begun(change(other, amina))
        await one.commit()
        await changing
        await other.commit()
        assert await live(one, amina) == []
        code = (await write_sheet(one, amina.id)).codes[0]
        step = SecondSteps(sha256=token_hash("step"), person_id=amina.id, method="password")
        step.expires_at = NOW.replace(hour=10)
        one.add(step)
        await one.commit()
        await take_second(one, KEY, SecondStepTaken("step", RecoveryProof(code)), HOME, NOW)
        changing = await begun(change(other, amina))
        await one.commit()
        await changing
        await other.commit()
        assert await live(one, amina) == []
