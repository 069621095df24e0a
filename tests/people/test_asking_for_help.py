"""Asking for help to get in: who is told of it, how often, and that nobody else learns anything."""

from datetime import datetime, timedelta

import pytest
from card_world import HOME, Desk
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.runner import JOBS
from people import recoveries
from people.asking import AskForHelp, ask_for_help
from people.cards import (
    Cards,
    issue_card,
)
from people.recoveries import Recoveries, list_recoveries
from people.refused import Forbidden
from people.relations import actor_of


async def test_asking_for_help_tells_the_administrator_and_nobody_else(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """By the card's number in any spelling; twice is one request; a new card closes it."""
    number = (await db.scalars(select(Cards.number))).one()
    spelled = f"№ {number[:4]} {number[4:8]}-{number[8:]}"
    for word in (spelled, number, "nobody.at.all", "0" * 12, "\u2003"):
        await ask_for_help(db, AskForHelp(word), HOME, now)
    asked = await list_recoveries(db, desk.admin, desk.clinic.id, now)
    assert [one.person.id for one in asked] == [desk.patient.id]
    actor = await actor_of(db, desk.patient.id, now)
    with pytest.raises(Forbidden):
        await list_recoveries(db, actor, desk.clinic.id, now)
    await issue_card(db, desk.admin, desk.patient.id, desk.clinic.id, now)
    assert await list_recoveries(db, desk.admin, desk.clinic.id, now) == []
    assert await db.scalar(select(func.count()).select_from(Recoveries)) == 1


async def test_a_request_nobody_answered_is_asked_anew_when_it_is_shown_no_more(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """And those who can help are told anew; before that asking twice is asking once."""
    number = await db.scalar(select(Cards.number))
    assert number is not None
    await ask_for_help(db, AskForHelp(number), HOME, now)
    row = (await db.scalars(select(Recoveries))).one()
    row.told_at = now
    await db.flush()
    for later, told in ((now + timedelta(days=1), now), (now + recoveries.SHOWN_FOR, None)):
        await ask_for_help(db, AskForHelp(number), HOME, later)
        await db.refresh(row)
        assert row.told_at == told
    asked = await list_recoveries(db, desk.admin, desk.clinic.id, later)
    assert [one.asked_at for one in asked] == [later]


async def test_asking_for_help_is_the_same_work_whoever_it_is(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """The same statements: how long they take says nothing on a busy machine."""
    number = await db.scalar(select(Cards.number))
    assert number is not None
    connection = (await db.connection()).sync_connection
    assert connection is not None
    assert desk.patient.id
    work: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        work.append(sql)

    done = []
    # The first one writes the job, the later ones find it waiting.
    await ask_for_help(db, AskForHelp("0" * 12), HOME, now)
    event.listen(connection, "before_cursor_execute", note)
    for word in (number, "nobody.at.all", number):
        work.clear()
        await ask_for_help(db, AskForHelp(word), HOME, now)
        done.append(tuple(work))
    event.remove(connection, "before_cursor_execute", note)
    assert len(done[0]) > 3
    assert len(set(done)) == 1


def test_the_runner_tells_of_requests_for_help() -> None:
    """A job nobody registers would wait for ever."""
    assert recoveries in JOBS
