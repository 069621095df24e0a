"""Facts of other processes act here within a second; what was rolled back is never heard."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from api_world import World
from litestar import Litestar
from sqlalchemy import text

from api import live
from api.house import House
from api.live import Close, Hint, Tab
from people.device_tokens import revoke_device
from people.facts import DeviceRevoked, Fact, NoticeMade, RightsChanged, SessionEnded, emit
from people.sessions import sign_out

WITHIN_S = 1.0


@pytest.fixture
async def house(app: Litestar) -> House:
    """A process that listens; `world.sessions` is another one."""
    house: House = app.state.house
    async with asyncio.timeout(10):
        await house.hearing.listening.wait()
    return house


def _tab(house: House, *channels: str) -> Tab:
    tab = Tab()
    house.live.join(tab, channels)
    return tab


async def _elsewhere(world: World, *facts: Fact) -> None:
    async with world.sessions() as db, db.begin():
        for fact in facts:
            emit(db, fact)


async def test_a_session_ended_by_another_process_closes_its_sockets_within_a_second(
    house: House, world: World
) -> None:
    tab = _tab(house, live.session(world["doctor:session"]))
    started = time.monotonic()
    async with world.sessions() as db, db.begin():
        await sign_out(db, world["doctor:session"], datetime.now(UTC))
        assert tab.ended is None
    async with asyncio.timeout(WITHIN_S):
        await tab.wait()
    print(f"heard after {(time.monotonic() - started) * 1000:.0f} ms")
    assert tab.ended is Close.NOT_SIGNED_IN


async def test_a_device_revoked_by_another_process_closes_its_sockets_within_a_second(
    house: House, world: World
) -> None:
    recorder = world["patient:recorder"]
    tab, actor = _tab(house, live.device(recorder)), await world.actor("patient")
    async with world.sessions() as db, db.begin():
        await revoke_device(db, actor, recorder, datetime.now(UTC))
    async with asyncio.timeout(WITHIN_S):
        await tab.wait()
    assert tab.ended is Close.NOT_SIGNED_IN


async def test_rights_changed_by_another_process_are_looked_at_within_a_second(
    house: House, world: World
) -> None:
    tab = _tab(house, live.person(world["patient"]))
    await _elsewhere(world, RightsChanged(at=datetime.now(UTC), person_id=world["patient"]))
    async with asyncio.timeout(WITHIN_S):
        assert await tab.hints() == {Hint.VISIT, Hint.LESSON}


async def test_what_was_rolled_back_is_never_heard(house: House, world: World) -> None:
    now, person = datetime.now(UTC), world["patient"]
    tab = _tab(house, live.person(person), live.notices(person))
    async with world.sessions() as db, db.begin() as transaction:
        emit(db, RightsChanged(at=now, person_id=person))
        await db.execute(text("SELECT 1"))
        await transaction.rollback()
    # What comes after is heard after: nothing can still be on its way.
    await _elsewhere(world, NoticeMade(at=now, person_id=person, notice_id=uuid4()))
    async with asyncio.timeout(WITHIN_S):
        assert await tab.hints() == {Hint.NOTICES}


async def test_a_process_does_not_hear_itself(
    house: House, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, heard = datetime.now(UTC), asyncio.Queue[Fact]()
    monkeypatch.setattr("api.hearing.react", lambda _, fact: heard.put_nowait(fact))
    mine = SessionEnded(at=now, person_id=world["doctor"], session_id=uuid4())
    theirs = DeviceRevoked(at=now, person_id=world["doctor"], device_id=uuid4())
    async with house.transaction() as db:
        emit(db, mine)
    await _elsewhere(world, theirs)
    async with asyncio.timeout(WITHIN_S):
        assert await heard.get() == theirs
    assert heard.empty()


async def test_a_lost_connection_is_made_anew_and_every_page_looks_again(
    house: House, world: World
) -> None:
    page = _tab(house, live.visit(world["visit"]))
    async with world.sessions() as db, db.begin():
        await db.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
    async with asyncio.timeout(10):
        assert await page.hints() == {Hint.VISIT, Hint.LESSON}
        await house.hearing.listening.wait()
    tab = _tab(house, live.session(world["doctor:session"]))
    async with world.sessions() as db, db.begin():
        await sign_out(db, world["doctor:session"], datetime.now(UTC))
    async with asyncio.timeout(WITHIN_S):
        await tab.wait()


async def test_a_word_nobody_understands_is_passed_by(house: House, world: World) -> None:
    async with world.sessions() as db, db.begin():
        await db.execute(text("SELECT pg_notify('yanasha_facts', '{\"from\": 1}')"))
    tab = _tab(house, live.session(world["doctor:session"]))
    async with world.sessions() as db, db.begin():
        await sign_out(db, world["doctor:session"], datetime.now(UTC))
    async with asyncio.timeout(WITHIN_S):
        await tab.wait()
