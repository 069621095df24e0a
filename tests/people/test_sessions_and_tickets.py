"""Sessions end when they should; a ticket serves once."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import facts
from people.persons import Persons
from people.refused import NotFound, NotSignedIn
from people.sessions import (
    ABSOLUTE,
    OTHERS_IDLE,
    Caller,
    end_session,
    list_sessions,
    session_alive,
    session_person,
    sign_out,
    start_session,
    touch,
)
from people.tickets import LIFE, issue, redeem
from storage.engine import new_id

MINUTE = timedelta(minutes=1)


async def caller(db: AsyncSession, person: Persons, now: datetime) -> tuple[Caller, str]:
    made = await start_session(db, person.id, "192.0.2.0/24", now, staff=False)
    return await session_person(db, made.token, now), made.token


async def test_an_unknown_token_is_nobody(db: AsyncSession, now: datetime) -> None:
    """No session, no person."""
    with pytest.raises(NotSignedIn):
        await session_person(db, "guess", now)


async def test_a_session_idles_out(db: AsyncSession, patient: Persons, now: datetime) -> None:
    """After an hour without a sign of life."""
    _, token = await caller(db, patient, now)
    await session_person(db, token, now + OTHERS_IDLE - MINUTE)
    await session_person(db, token, now + 2 * OTHERS_IDLE - 2 * MINUTE)
    with pytest.raises(NotSignedIn):
        await session_person(db, token, now + 3 * OTHERS_IDLE)


async def test_a_session_ends_after_twelve_hours_of_use(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """However busy it is."""
    me, token = await caller(db, patient, now)
    moment = now
    while moment + OTHERS_IDLE / 2 < now + ABSOLUTE:
        moment += OTHERS_IDLE / 2
        assert await touch(db, me.session_id, moment)
    assert await session_alive(db, me.session_id, now + ABSOLUTE - MINUTE)
    with pytest.raises(NotSignedIn):
        await session_person(db, token, now + ABSOLUTE)
    assert not await touch(db, me.session_id, now + ABSOLUTE)


async def test_sign_out_ends_the_session_at_once(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """And says so, once, to whoever holds its sockets."""
    me, token = await caller(db, patient, now)
    await sign_out(db, me.session_id, now)
    await sign_out(db, me.session_id, now)
    with pytest.raises(NotSignedIn):
        await session_person(db, token, now)
    ended = facts.SessionEnded(at=now, person_id=patient.id, session_id=me.session_id)
    assert facts.take(db) == [ended]
    assert facts.take(db) == []


async def test_one_lists_and_ends_ones_own_sessions_only(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    """Somebody else's session is not found."""
    mine, _ = await caller(db, patient, now)
    other, token = await caller(db, patient, now + MINUTE)
    foreign, _ = await caller(db, doctor, now)
    listed = await list_sessions(db, mine, now + MINUTE)
    assert [(one.id, one.current) for one in listed] == [
        (other.session_id, False),
        (mine.session_id, True),
    ]
    with pytest.raises(NotFound):
        await end_session(db, mine, foreign.session_id, now)
    await end_session(db, mine, other.session_id, now + MINUTE)
    with pytest.raises(NotSignedIn):
        await session_person(db, token, now + MINUTE)
    with pytest.raises(NotFound):
        await end_session(db, mine, other.session_id, now + MINUTE)


async def test_a_ticket_serves_once(db: AsyncSession, patient: Persons, now: datetime) -> None:
    """The second use is nobody."""
    me, _ = await caller(db, patient, now)
    visit = new_id()
    given = await issue(db, me, visit, now)
    assert given.expires_at == now + LIFE
    assert (await redeem(db, given.ticket, visit, now)).person_id == patient.id
    with pytest.raises(NotSignedIn):
        await redeem(db, given.ticket, visit, now)


async def test_a_ticket_is_for_one_thing_and_thirty_seconds(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """Another visit, or a moment too late: refused."""
    me, _ = await caller(db, patient, now)
    visit = new_id()
    given = await issue(db, me, visit, now)
    with pytest.raises(NotSignedIn):
        await redeem(db, given.ticket, uuid4(), now)
    with pytest.raises(NotSignedIn):
        await redeem(db, given.ticket, visit, now + LIFE)
    again = await issue(db, me, visit, now + 2 * LIFE)
    assert again.ticket != given.ticket


async def test_a_ticket_of_an_ended_session_is_worth_nothing(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """Sign-out reaches the tickets already given."""
    me, _ = await caller(db, patient, now)
    visit = new_id()
    given = await issue(db, me, visit, now)
    await sign_out(db, me.session_id, now)
    with pytest.raises(NotSignedIn):
        await redeem(db, given.ticket, visit, now)


async def test_of_two_uses_at_once_one_gets_through(engine: AsyncEngine, now: datetime) -> None:
    """Two connections, one ticket."""
    person, visit = new_id(), new_id()
    async with AsyncSession(engine) as db, db.begin():
        row = Persons(id=person, family_name="", given_name="", created_at=now)
        db.add(row)
        await db.flush()
        me, _ = await caller(db, row, now)
        given = await issue(db, me, visit, now)

    async def use() -> bool:
        async with AsyncSession(engine) as db, db.begin():
            try:
                await redeem(db, given.ticket, visit, now)
            except NotSignedIn:
                return False
            return True

    assert sorted(await asyncio.gather(*(use() for _ in range(4)))) == [False, False, False, True]
